# SPDX-License-Identifier: GPL-3.0-or-later
"""Videos: one file that FFmpeg decodes."""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.packet import Packet
from av.video.frame import VideoFrame

from backend.media.container import decoded, opened, packets
from backend.media.exif import DIAGONAL_35MM
from backend.media.footage import Clip, ClipInfo, Frame
from backend.media.images import MOST_PIXELS
from backend.media.index import Index, build_index
from backend.media.pixels import Layout, ToPixels, layout
from backend.media.timing import is_even, nominal_rate, seconds
from blender_addon.contract.errors import ErrorCode, MienError

_DAMAGED = "damaged, cannot be decoded"
_LENGTH_OFF = 0.03
"""Share of the header's length by which it may be off before it is worth a word; and at least as many seconds: """
_LENGTH_OFF_SECONDS = 0.5


class _NotThere(Exception):
    """Reading cannot begin at this place of the file."""


class Video(Clip):
    """A video file; see `clip.open_clip`."""

    def __init__(self, path: Path, fps: float | None = None) -> None:
        """Read the file's index.

        Args:
            path: The file.
            fps: A rate that the user gave for numbered pictures; said not to be used.

        Raises:
            MienError: As `index.build_index`, and TOO_LARGE.
        """
        index, first = build_index(path)
        with opened(path) as (container, stream):
            aspect = stream.sample_aspect_ratio
            noted = {**container.metadata, **stream.metadata}
            streams = sum(other.type == "video" and other.frames != 1 for other in container.streams)
        self._layout = layout(first, aspect)
        self._index = index
        self._lock = threading.Lock()
        super().__init__(_info(path, index, self._layout, noted, streams))
        if fps is not None:
            self._remark(f"The rate of {fps:g} frames per second is not used: the video has times of its own.")

    def _read(self, first: int, last: int) -> Iterator[Frame]:
        convert = ToPixels(self._layout)
        size: tuple[int, int] | None = None
        due = first
        for index, frame in self._from(first):
            self._left_out(due, min(index, last + 1))
            if index > last:
                return
            size = size or (frame.width, frame.height)
            if size != (frame.width, frame.height):
                self._remark("The size of the pictures changes within the video; all are scaled to the first one's.")
            pixels = convert(frame)
            del frame  # see `_from`
            yield Frame(index, float(self.info.times[index]), pixels)
            due = index + 1
            if due > last:
                return
        self._left_out(due, last + 1)

    def _from(self, first: int) -> Iterator[tuple[int, VideoFrame]]:
        """Indices and decoded frames from an index on."""
        for entry in self._index.entries(first):
            reading = self._count(first) if self._index.counted else self._decode(entry, first)
            try:
                head = next(reading, None)
                # A first frame that does not come may be damaged, or the place too late: only the start tells.
                if entry is not None and (head is None or head[0] != first):
                    continue
                if head is not None:
                    yield head
                    # The decoder fills the holes of damaged frames from the memory of frames that were let go, so the
                    # same ones must be held wherever reading began.
                    head = None
                    yield from reading
                return
            except _NotThere:
                continue
            finally:
                reading.close()

    def _decode(self, entry: tuple[int, int] | None, first: int) -> Iterator[tuple[int, VideoFrame]]:
        """Frames by their timestamps, from a place in the file on.

        Raises:
            _NotThere: The file cannot be entered there.
        """
        stamps = self._index.stamps
        awaited = first
        with opened(self.info.path) as (container, stream):
            source = packets(container, stream, lambda: None)
            if entry is not None:
                try:
                    container.seek(entry[1], stream=stream)
                except av.error.FFmpegError as error:
                    raise _NotThere from error
                source = _beginning_at(source, entry)
            entered = entry is None
            for frame in decoded(stream.codec_context, source, lambda: None):
                if not entered:
                    # A key frame that is no whole picture by itself is the middle of a gradual refresh.
                    if frame.pts != entry[0] or frame.pict_type != av.video.frame.PictureType.I:
                        raise _NotThere
                    entered = True
                if frame.pts is None or frame.pts < stamps[awaited] or frame.is_corrupt:
                    continue
                index = awaited + int(np.searchsorted(stamps[awaited : awaited + 2], frame.pts))
                if index == awaited + 2 or index >= len(stamps):
                    index = int(np.searchsorted(stamps, frame.pts))
                if index < len(stamps) and stamps[index] == frame.pts:
                    yield index, frame
                    awaited = index + 1
                if awaited >= len(stamps):
                    return

    def _count(self, first: int) -> Iterator[tuple[int, VideoFrame]]:
        """Frames by counting them from the start of the file."""
        with opened(self.info.path) as (container, stream):
            frames = decoded(stream.codec_context, packets(container, stream, lambda: None), lambda: None)
            whole = (frame for frame in frames if not frame.is_corrupt)
            yield from itertools.islice(enumerate(whole), first, len(self._index.stamps))

    def _left_out(self, start: int, stop: int) -> None:
        with self._lock:
            self._lost.update(dict.fromkeys(range(start, stop), _DAMAGED))

    def _remark(self, sentence: str) -> None:
        with self._lock:
            self._remarks[sentence] = None


def _beginning_at(source: Iterator[Packet], entry: tuple[int, int]) -> Iterator[Packet]:
    for packet in source:
        if (packet.pts, packet.dts) == entry:
            yield packet
            yield from source
            return
        if packet.dts is None or packet.dts > entry[1]:
            raise _NotThere
    raise _NotThere


def _info(path: Path, index: Index, shown: Layout, noted: Mapping[str, str], streams: int) -> ClipInfo:
    width, height = shown.upright_size
    if width * height > MOST_PIXELS:
        raise MienError(
            ErrorCode.TOO_LARGE,
            f"{path} is too large ({width}x{height} pixels).",
            "Convert it to a smaller picture; about 2000 pixels on the longer side is plenty.",
            {"path": str(path)},
        )
    times = seconds(index.stamps, index.base)
    tick = float(index.base)
    rate = nominal_rate(times, tick, index.claimed)
    equivalent = _focal_35mm(noted)
    to_pixels = math.hypot(width, height) / DIAGONAL_35MM
    return ClipInfo(
        path=path,
        width=width,
        height=height,
        numbers=np.arange(1, len(times) + 1, dtype=np.int32),
        times=times,
        rate=rate,
        missing=(),
        variable_rate=not is_even(times, tick),
        focal_35mm=equivalent,
        focal_px=equivalent * to_pixels if equivalent else None,
        problems=(*_header_problems(index, times, rate, streams), *shown.problems),
    )


def _header_problems(index: Index, times: np.ndarray, rate: float, streams: int) -> Iterator[str]:
    frames = len(times)
    found = frames + index.leading + index.hidden
    if index.promised > found and not index.counted:
        yield f"The file was cut off: its header promises {index.promised} frames and {found} are there."
    elif index.cut_off and not 0 < index.promised <= found:  # or only what follows the pictures is cut
        yield f"The file was cut off or is damaged at its end: the {frames} frames before that are used."
    else:
        length = float(times[-1]) + 1 / rate
        # How long the last frame is shown is not known; no longer than the longest of the others.
        latest = max(length, float(times[-1]) + float(np.diff(times).max(initial=0)))
        off = index.promised_seconds - latest
        if is_even(times, float(index.base)):  # else writers count to the last frame by decoding times, which is less
            off = max(off, times[-1] - index.promised_seconds)
        if index.promised_seconds and not index.hidden and off > max(_LENGTH_OFF_SECONDS, _LENGTH_OFF * length):
            yield (
                f"The header says that the video lasts {index.promised_seconds:.1f} s, but {length:.1f} s are there: "
                "it was cut off, or its header is wrong."
            )
    if index.leading:
        yield f"The first {index.leading} frames build on pictures before the start of the file and are left out."
    if index.counted:
        yield "The file has no usable time for each frame; frames are counted, and every range is read from the start."
    if streams > 1:
        yield f"The file holds {streams} videos; the largest one is used."


def _focal_35mm(noted: Mapping[str, str]) -> float | None:
    """The 35 mm equivalent focal length in a video's metadata, in millimetres.

    Phones write the tag `com.apple.quicktime.camera.focal_length.35mm_equivalent`, cameras and converters the name of
    EXIF's tag; like EXIF's it compares diagonals.
    """
    for key, value in noted.items():
        plain = key.lower().replace("_", "").replace(" ", "")
        if plain.endswith(("focallength.35mmequivalent", "focallengthin35mmfilm", "focallengthin35mmformat")):
            try:
                number = float(Fraction(value.split()[0]))
            except (ValueError, IndexError, ZeroDivisionError, OverflowError):
                continue
            if math.isfinite(number) and number > 0:
                return number
    return None
