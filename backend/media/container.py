# SPDX-License-Identifier: GPL-3.0-or-later
"""Opening a video file with FFmpeg so that it reads that one file and nothing else, and saying why it cannot."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from av.codec.context import CodecContext
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard, Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from backend.media.footage import bad_clip
from backend.media.truncation import lacks_contents
from blender_addon.contract.errors import MienError
from blender_addon.contract.files import file_error

# Lists of other files and addresses, devices, made-up pictures, and text shown as a picture.
_NOT_READ = frozenset(
    "hls dash concat sdp rtsp rtp sap imf image2 image2pipe lavfi fbdev kmsgrab video4linux2,v4l2 x11grab avfoundation "
    "dshow gdigrab vfwcap alsa oss pulse ffmetadata tty xbin bin adf idf tedcaptions webm_dash_manifest vobsub ico "
    "alias_pix brender_pix vapoursynth avisynth".split()
)
_LISTS = (b"#EXTM3U", b"ffconcat", b"v=0\r", b"v=0\n", b"<?xml", b"[playlist]")
_ONE_BY_ONE = 1920 * 1088
"""Pixels up to which one core decodes fast enough to decode frame by frame."""
_COPY = "Copy it again from where it came from."
_CONVERT = "Convert it to an MP4 with H.264 in another program and use that."


@contextmanager
def opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a video file for one reader.

    No address is ever opened, whatever the name looks like, and no file that the file names.

    Args:
        path: The file.

    Yields:
        The container and its video stream (the largest one that is no cover picture); the others are not read.

    Raises:
        MienError: MISSING_FILE; NOT_PERMITTED; BAD_CLIP with `details["cause"]` one of "no_file", "empty", "playlist",
            "truncated", "not_a_clip", "audio_only", "no_decoder".
    """
    require_file(path)
    try:
        container = av.open(
            f"file:{os.path.abspath(path)}",
            container_options={"protocol_whitelist": "file", "format_whitelist": _formats()},
            metadata_errors="replace",
        )
    except av.error.FFmpegError as error:
        raise _unreadable(path, error) from error
    with container:
        yield container, _video_stream(path, container)


def require_file(path: Path) -> None:
    """Refuse what is no readable file with something in it; pipes and devices are not waited for."""
    if os.path.exists(path) and not os.path.isfile(path):
        reason = "is a pipe or a device, not a file"
        raise bad_clip(path, "no_file", reason, "Save the footage as a file and use that.")
    try:
        with path.open("rb") as file:
            start = file.read(16)
    except OSError as error:
        raise file_error(path, error, "read") from error
    if not start:
        raise bad_clip(path, "empty", "is an empty file", _COPY)
    if start.startswith(_LISTS):
        reason = "is a list of other files or an address, not a video"
        raise bad_clip(path, "playlist", reason, "Give the path of the video itself.")


def packets(container: InputContainer, stream: VideoStream, note: Callable[[], object]) -> Iterator[Packet]:
    """The stream's packets in the order of the file; `note` is called where the file ends in damage."""
    try:
        for packet in container.demux(stream):
            if packet.size:
                yield packet
    except av.error.FFmpegError:
        note()


def decoded(codec: CodecContext, source: Iterator[Packet], note: Callable[[], object]) -> Iterator[VideoFrame]:
    """The frames of packets in the order in which they are shown; `note` is called where a packet is damaged."""
    for packet in source:
        try:
            yield from codec.decode(packet)
        except av.error.FFmpegError:
            note()
    try:
        yield from codec.decode(None)
    except av.error.FFmpegError:
        note()


def has_video(path: Path) -> bool:
    """Whether FFmpeg finds moving pictures in a file."""
    try:
        with opened(path):
            return True
    except MienError:
        return False


def _formats() -> str:
    stills = {name for name in av.formats_available if name.endswith("_pipe")}
    return ",".join(sorted(av.formats_available - _NOT_READ - stills))


def _video_stream(path: Path, container: InputContainer) -> VideoStream:
    pictures = Disposition.attached_pic | Disposition.timed_thumbnails
    streams = [stream for stream in container.streams if stream.type == "video" and not stream.disposition & pictures]
    if not streams:
        if lacks_contents(path):
            raise _truncated(path)
        if container.streams.audio:
            raise bad_clip(path, "audio_only", "holds sound but no pictures", "Use a file with the video in it.")
        raise bad_clip(path, "not_a_clip", "holds no pictures", "Use a video, or a folder of numbered pictures.")
    readable = [stream for stream in streams if stream.codec_context is not None]
    if not readable:
        raise bad_clip(path, "no_decoder", "holds a video in a coding that FFmpeg cannot read", _CONVERT)
    # A "video" of one frame beside another is that one's title picture.
    chosen = max(readable, key=lambda stream: (stream.frames != 1, stream.width * stream.height, -stream.index))
    for stream in container.streams:
        if stream.index != chosen.index:
            stream.discard = Discard.all
    # Several frames at once are no cheaper, and which frames of a damaged file count as damaged becomes a race then.
    chosen.thread_type = "SLICE" if chosen.width * chosen.height <= _ONE_BY_ONE else "AUTO"
    return chosen


def _truncated(path: Path) -> MienError:
    reason = "was cut off: its table of contents, which is written when a recording ends, is missing or not whole"
    remedy = "Copy it again from the camera; if it is cut off there too, a video repair program may restore it."
    return bad_clip(path, "truncated", reason, remedy)


def _unreadable(path: Path, error: av.error.FFmpegError) -> MienError:
    if isinstance(error, OSError) and not isinstance(error, ValueError):
        return file_error(path, error, "read")
    if lacks_contents(path):
        return _truncated(path)
    reason = "is not a video in a known format, whatever its name says, or its beginning is damaged"
    return bad_clip(path, "not_a_clip", reason, _CONVERT)
