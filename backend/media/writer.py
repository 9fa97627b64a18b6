# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing a video that plays everywhere."""

from __future__ import annotations

import errno
import math
import os
import secrets
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
from av.video.frame import PictureType
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from blender_addon.contract.errors import MienError
from blender_addon.contract.files import file_error

CLOCK = Fraction(1, 90000)
"""Unit of the timestamps in seconds, the usual one of video: 24, 25, 30 and 30000/1001 frames/s are whole numbers of
it."""
# Without B-frames the decoding times are the presentation times, so the length in the header is right at any rate.
_QUALITY = {"crf": "20", "preset": "veryfast", "bf": "0"}
_BT709 = 1
_FASTEST = 1000
"""Frames per second that a header can sensibly state."""


class VideoWriter:
    """Writes an MP4 with H.264 (8 bit, 4:2:0, BT.709, index at the front); a context manager.

    The file appears under its name, whole, when the context ends without an error; else nothing is left behind and a
    file that was there before stays.

    Args:
        path: File to write; its folder must exist.
        size: Width and height in pixels; odd ones get one more column or row, a repetition of the last one.
        rate: Nominal frames per second, for players' information and for the length of the last frame.

    Raises:
        MienError: NO_SPACE, NOT_PERMITTED or MISSING_FILE, from any of the methods.
    """

    def __init__(self, path: str | Path, size: tuple[int, int], rate: float) -> None:
        if min(size) < 1 or not 0 < rate < math.inf:
            raise ValueError(f"a video of {size} pixels at {rate} frames/s")
        self.path = Path(path)
        self._size = size
        self._step = max(round(1 / rate / CLOCK), 1)
        self._last_time, self._last = -math.inf, -1
        self._count = 0
        self._reformatter = VideoReformatter()
        target = os.path.realpath(self.path)
        self._target = target
        self._temporary = os.path.join(os.path.dirname(target), f".{secrets.token_hex(8)}.tmp")
        try:
            # So that the reason a file cannot be made is the system's own, and nobody else's file is taken.
            os.close(os.open(self._temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        except OSError as error:
            raise file_error(self.path, error) from error
        try:
            self._open(rate)
        except BaseException as error:  # also Ctrl-C: the file that was begun must not stay
            self._give_up()
            if isinstance(error, av.error.FFmpegError):
                raise self._failed(error) from error
            raise

    def _open(self, rate: float) -> None:
        self._container = av.open(
            f"file:{self._temporary}", "w", format="mp4", container_options={"movflags": "+faststart"}
        )
        stream = self._container.add_stream(
            "libx264", rate=Fraction(min(rate, _FASTEST)).limit_denominator(1001), options=dict(_QUALITY)
        )
        stream.width, stream.height = (side + side % 2 for side in self._size)
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.time_base = stream.time_base = CLOCK
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = ColorRange.MPEG
        self._stream = stream

    def add(self, pixels: np.ndarray, time: float) -> None:
        """Add a frame.

        Args:
            pixels: (H,W,3) uint8 RGB of the video's size.
            time: Seconds; later than the frame before. The first frame's time is the video's start.

        Raises:
            ValueError: A programming error: pixels of another size, or a time that does not increase.
        """
        if pixels.shape != (self._size[1], self._size[0], 3) or pixels.dtype != np.uint8:
            raise ValueError(f"pixels {pixels.shape} {pixels.dtype} for a video of {self._size}")
        if not self._last_time < time < math.inf:
            raise ValueError(f"time {time} is not later than the frame before, at {self._last_time}")
        stamp = round(time / CLOCK)
        if not self._count:
            self._origin = stamp
        # Times nearer to each other than the clock's unit, as broken files have them, are kept apart by one.
        self._last, self._last_time = max(stamp - self._origin, self._last + 1), time
        width, height = self._size
        if width % 2 or height % 2:
            pixels = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        frame = self._reformatter.reformat(
            av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels)),
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
            threads=1,
        )
        frame.pts, frame.time_base, frame.pict_type = self._last, CLOCK, PictureType.NONE
        self._encode(frame)
        self._count += 1

    def _encode(self, frame: av.VideoFrame | None) -> None:
        try:
            for packet in self._stream.encode(frame):
                packet.duration = packet.duration or self._step
                self._container.mux(packet)
        except av.error.FFmpegError as error:
            raise self._failed(error) from error

    def _finish(self) -> None:
        if self._count:
            self._encode(None)
        try:
            self._container.close()
            self._check()
            os.replace(self._temporary, self._target)
        except (av.error.FFmpegError, OSError) as error:
            raise self._failed(error) from error

    def _check(self) -> None:
        """See that all frames are in the file: FFmpeg does not report everything that goes wrong while it closes."""
        if not self._count:
            raise OSError(errno.EINVAL, "a video without frames")
        with av.open(f"file:{self._temporary}", format="mp4") as written:
            if written.streams.video[0].frames != self._count:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _give_up(self) -> None:
        container = getattr(self, "_container", None)
        if container is not None:
            try:
                container.close()
            except (av.error.FFmpegError, OSError):
                pass  # what went wrong before is reported
        if os.path.lexists(self._temporary):
            os.unlink(self._temporary)

    def _failed(self, error: Exception) -> MienError:
        if isinstance(error, OSError) and error.errno is not None:
            return file_error(self.path, error)
        # FFmpeg's own words for output that went wrong, for example a short file that it reads back.
        return file_error(self.path, OSError(errno.EIO, str(error)))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            self._give_up()
