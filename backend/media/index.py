# SPDX-License-Identifier: GPL-3.0-or-later
"""Which frames a video has, found without decoding it."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.packet import Packet
from av.video.frame import VideoFrame

from backend.media.container import decoded, opened, packets
from backend.media.footage import bad_clip
from backend.media.truncation import is_short
from blender_addon.contract.errors import MienError

# Codecs in which a key frame surely needs nothing before it, so that reading can begin there.
_RANDOM_ACCESS = frozenset(
    "h264 hevc mpeg1video mpeg2video mpeg4 vp8 libvpx vp9 libvpx-vp9 av1 libdav1d mjpeg prores dnxhd ffv1 rawvideo "
    "huffyuv ffvhuff utvideo v210 cfhd jpeg2000 png".split()
)
_LATEST = 64
"""Frames that a frame can be shown later than its place in the file; more is a break in the timestamps."""
_TRIED = 48
"""Packets decoded at the start to learn what the pictures are like."""
_TRIED_MOST = 600
"""Packets decoded at most until a first picture comes out."""
_COMPLETE = 0.8
"""Share of the packets tried that must give frames with the packets' own timestamps."""
_BARE_RATE = Fraction(25)
"""Frames per second of a video that says nothing at all about its times, as FFmpeg takes it."""


@dataclass(frozen=True)
class Index:
    """The frames of a video in the order in which they are shown.

    Attributes:
        stamps: (T,) int64 presentation timestamps, strictly increasing, in units of `base` seconds.
        base: Seconds.
        counted: The file's own timestamps do not name frames; frames are told by counting from the start.
        keys: Timestamps (pts, dts) of packets at which reading can begin, by pts; empty where it cannot.
        hidden: Packets that the file itself leaves out of the presentation.
        promised: Frames that the header says there are; 0 where it does not say.
        promised_seconds: Length by the header; 0 where it does not say.
        claimed: Frames per second by the header, or None.
        cut_off: The file ends within a frame or in damage.
        leading: Frames at the start that build on what lies before the file, and were left out.
    """

    stamps: np.ndarray
    base: Fraction
    counted: bool
    keys: tuple[tuple[int, int], ...]
    hidden: int
    promised: int
    promised_seconds: float
    claimed: Fraction | None
    cut_off: bool
    leading: int = 0

    def entries(self, index: int) -> list[tuple[int, int] | None]:
        """Where to begin reading to get at a frame, the best first; None is the start of the file."""
        after = bisect_right(self.keys, (int(self.stamps[index]), 1 << 62))
        return [*reversed(self.keys[max(after - 2, 0) : after]), None]


def build_index(path: Path) -> tuple[Index, VideoFrame]:
    """List a video's frames and decode the first one.

    The packets are read through once; they are decoded only where their timestamps cannot be trusted to name frames.

    Args:
        path: The video.

    Raises:
        MienError: As `container.opened`, and BAD_CLIP with `details["cause"]` "no_frames" or "damaged".
    """
    index = _from_packets(path)
    first, agrees, start = _try_decoding(path, index)
    if index.counted or not agrees:
        return _by_decoding(path, index), first
    leading = int(np.searchsorted(index.stamps, start))
    return replace(index, stamps=index.stamps[leading:], leading=leading), first


def _from_packets(path: Path) -> Index:
    stamps, keys, timeless = array("q"), [], False
    hidden, last_cut = 0, False

    def damaged_end() -> None:
        nonlocal cut_off
        cut_off = True

    with opened(path) as (container, stream):
        cut_off = is_short(path)
        codec, base = stream.codec_context.name, stream.time_base
        for packet in packets(container, stream, damaged_end):
            if packet.is_discard or _is_invisible(codec, packet):
                hidden += 1
                continue
            if packet.pts is None:
                timeless = True
                stamps.append(0)
                continue
            stamps.append(packet.pts)
            last_cut = packet.is_corrupt
            if packet.is_keyframe and packet.dts is not None and codec in _RANDOM_ACCESS:
                keys.append((packet.pts, packet.dts))
        # Nothing can be asked of a stream after its container was closed.
        promised, claimed, guessed = stream.frames, stream.average_rate, stream.guessed_rate
        length = _promised_seconds(container, stream)
    if last_cut and len(stamps) > 1:  # half of a picture
        stamps.pop()
        cut_off = True
    if not stamps:
        remedy = "Copy it again from where it came from, or use another one."
        raise bad_clip(path, "no_frames", "is a video without a single frame", remedy)
    if timeless:  # a bare stream: all that is known is the rate, which is written in the pictures if anywhere
        claimed = guessed or claimed or _BARE_RATE
        base, stamps = 1 / claimed, array("q", range(len(stamps)))
    in_file = np.array(stamps, dtype=np.int64)
    order = np.argsort(in_file, kind="stable")
    counted = timeless or bool(
        np.any(np.diff(in_file[order]) <= 0) or np.any(np.abs(order - np.arange(len(order))) > _LATEST)
    )
    # The first one is as good as the start of the file.
    found = () if counted else tuple(sorted(keys[1:]))
    return Index(in_file[order], base, counted, found, hidden, promised, length, claimed or guessed, cut_off)


def _is_invisible(codec: str, packet: Packet) -> bool:
    """Whether a VP8 packet is one that is only referred to, never shown (RFC 6386, 9.1: show_frame)."""
    return codec in ("vp8", "libvpx") and not memoryview(packet)[0] >> 4 & 1


def _promised_seconds(container: av.container.InputContainer, stream: av.VideoStream) -> float:
    if container.format.name.split(",")[0] not in ("mov", "matroska", "avi", "flv", "asf"):
        return 0.0  # FFmpeg guesses the length of files whose header has none
    if text := stream.metadata.get("DURATION"):  # Matroska's, "00:00:05.005000000"
        try:
            hours, minutes, rest = text.split(":")
            return int(hours) * 3600 + int(minutes) * 60 + float(rest)
        except ValueError:
            return 0.0
    if stream.duration is not None:
        return float(stream.duration * stream.time_base)
    if container.duration is not None and len(container.streams) == 1:
        return container.duration / av.time_base
    return 0.0


def _try_decoding(path: Path, index: Index) -> tuple[VideoFrame, bool, int]:
    """The first frame, whether frames carry the timestamps of their packets, and the first frame's timestamp."""
    shown = set(index.stamps.tolist())
    errors: list[None] = []
    fed: set[int] = set()
    frames: list[tuple[int | None, bool]] = []
    first: VideoFrame | None = None

    def enough(source: Iterable[Packet]) -> Iterable[Packet]:
        for count, packet in enumerate(source):
            if count >= (_TRIED if first is not None else _TRIED_MOST):
                return
            if packet.pts in shown:
                fed.add(packet.pts)
            yield packet

    with opened(path) as (container, stream):
        source = enough(packets(container, stream, lambda: errors.append(None)))
        for frame in decoded(stream.codec_context, source, lambda: errors.append(None)):
            frames.append((frame.pts, frame.is_corrupt))
            if first is None and not frame.is_corrupt:
                first = frame
    if first is None:
        raise _damaged(path)
    stamps = [stamp for stamp, _ in frames]
    if first.pts is None or any(stamp not in shown for stamp in stamps) or stamps != sorted(stamps):
        return first, False, 0
    due = [stamp for stamp in fed if stamp >= first.pts]
    whole = not errors and not any(corrupt for _, corrupt in frames)
    return first, not whole or len(stamps) >= _COMPLETE * len(due), first.pts


def _by_decoding(path: Path, index: Index) -> Index:
    """The index of a video whose timestamps are missing, repeated, or not those of its frames."""
    stamps: list[int | None] = []
    with opened(path) as (container, stream):
        for frame in decoded(stream.codec_context, packets(container, stream, lambda: None), lambda: None):
            if not frame.is_corrupt:
                stamps.append(frame.pts)
    if not stamps:
        raise _damaged(path)
    known = np.array([stamp for stamp in stamps if stamp is not None], dtype=np.int64)
    if len(known) == len(stamps) and np.all(np.diff(known) > 0):
        return replace(index, stamps=known, counted=True, keys=())
    if len(index.stamps) == len(stamps) and np.all(np.diff(index.stamps) > 0):
        # The container's times are those of decoding (AVI): right in themselves, but not each frame's own.
        return replace(index, counted=True, keys=())
    # No usable times at all: the header's rate is the only one that is known.
    rate = index.claimed or _BARE_RATE
    return replace(
        index, stamps=np.arange(len(stamps), dtype=np.int64), base=1 / rate, counted=True, keys=(), claimed=rate
    )


def _damaged(path: Path) -> MienError:
    remedy = "Copy it again from where it came from, or convert it to an MP4 with H.264 in another program."
    return bad_clip(path, "damaged", "is damaged: none of its first frames can be decoded", remedy)
