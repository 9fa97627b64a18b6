# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbered pictures read as a clip."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np

from backend.media.colour import BACKDROP
from backend.media.container import require_file
from backend.media.footage import Clip, ClipInfo, Frame, bad_clip, ranges
from backend.media.images import Photo, read_image
from backend.media.numbered import BY_FFMPEG, find_numbered
from blender_addon.contract.errors import ErrorCode, MienError

DEFAULT_RATE = 24.0
"""Frames per second of numbered pictures when nothing else is said: film's, and Blender's default."""


class Sequence(Clip):
    """Numbered pictures; see `clip.open_clip`."""

    def __init__(self, path: Path, fps: float | None = None) -> None:
        """Find the files and read the first one.

        Raises:
            MienError: As `numbered.find_numbered`, and as `read_image` where no picture can be read.
        """
        numbered = find_numbered(path)
        self._files = list(numbered.files.values())
        self._lock = threading.Lock()
        self._first, lost = _first_readable(self._files)
        photo = self._first
        rate = fps or DEFAULT_RATE
        numbers = np.array(list(numbered.files), dtype=np.int32)
        gaps = list(numbered.missing)
        problems = ()
        if gaps:
            verb = "picture is" if len(gaps) == 1 else "pictures are"
            problems = (f"{len(gaps)} {verb} missing from {numbered.pattern.name}: {ranges(gaps)}.",)
        height, width = photo.pixels.shape[:2]
        super().__init__(
            ClipInfo(
                path=path,
                width=width,
                height=height,
                numbers=numbers,
                times=(numbers - numbers[0]) / rate,
                rate=rate,
                missing=numbered.missing,
                variable_rate=False,
                focal_35mm=photo.focal_35mm,
                focal_px=photo.focal_px,
                problems=problems,
            )
        )
        self._lost.update(lost)

    def _read(self, first: int, last: int) -> Iterator[Frame]:
        for index in range(first, last + 1):
            try:
                pixels = _read_picture(self._files[index]).pixels
            except MienError as error:
                if os.path.exists(self._files[index]) or error.code is not ErrorCode.MISSING_FILE:
                    self._leave_out(index, _reason(error))
                else:
                    self._leave_out(index, "the file has gone meanwhile")
                continue
            if pixels.shape[:2] != (self.info.height, self.info.width):
                size = f"{self.info.width}x{self.info.height}"
                self._leave_out(index, f"not of the size {size} like the first one")
                continue
            yield Frame(index, float(self.info.times[index]), pixels)

    def _leave_out(self, index: int, reason: str) -> None:
        with self._lock:
            self._lost[index] = reason


def _first_readable(files: list[Path]) -> tuple[Photo, dict[int, str]]:
    """The first picture that can be read, and why those before it cannot."""
    lost: dict[int, str] = {}
    earliest: MienError | None = None
    for index, path in enumerate(files):
        try:
            return _read_picture(path), lost
        except MienError as error:
            earliest = earliest or error
            lost[index] = _reason(error)
    assert earliest is not None  # a sequence has a file
    raise earliest


def _reason(error: MienError) -> str:
    """Why a picture was left out, the same for pictures that suffer from the same."""
    words = {
        "damaged": "damaged or cut off",
        "empty": "empty file",
        "not_a_picture": "no picture, whatever the name says",
    }
    cause = str(error.details.get("cause"))
    return words.get(cause) or error.message.removesuffix(".")


def _read_picture(path: Path) -> Photo:
    if path.suffix.lower() not in BY_FFMPEG:
        return read_image(path)
    require_file(path)
    return Photo(_read_by_ffmpeg(path), path, None, None)


def _read_by_ffmpeg(path: Path) -> np.ndarray:
    """Pixels of a picture that Pillow cannot read; linear ones (EXR, HDR) are encoded as sRGB, clipped at white.

    Raises:
        MienError: BAD_CLIP with `details["cause"]` "damaged".
    """
    kind = path.suffix.lower()[1:]
    try:
        with av.open(
            f"file:{os.path.abspath(path)}", format=f"{kind}_pipe", container_options={"protocol_whitelist": "file"}
        ) as container:
            frame = next(container.decode(video=0))
            linear = frame.format.name.startswith(("gbrpf", "gbrapf", "grayf", "yaf"))
            if not linear:
                return np.ascontiguousarray(frame.to_ndarray(format="rgb24"))
            values = _floats(frame)
    except (av.error.FFmpegError, StopIteration) as error:
        reason = f"is damaged, or not the kind of {kind.upper()} picture that FFmpeg reads"
        raise bad_clip(path, "damaged", reason, "Save the pictures as PNG in another program and use those.") from error
    opacity = np.clip(np.nan_to_num(values[..., 3:]), 0, 1) if values.shape[-1] == 4 else np.ones(1)
    # The colours of EXR are multiplied with their opacity; pictures without EXR's precision are mixed as sRGB.
    colour = srgb_of_linear(values[..., :3] / np.maximum(opacity, 1e-6))
    colour = opacity * colour + (1 - opacity) * (BACKDROP / 255)
    return (np.clip(colour, 0, 1) * 255 + 0.5).astype(np.uint8)


def _floats(frame: av.VideoFrame) -> np.ndarray:
    """(H,W,3) or (H,W,4) float32 of a frame of floating point numbers, read as they are: swscale spreads NaN."""
    name = frame.format.name
    kind = np.dtype("<f2" if "f16" in name else "<f4")
    planes = [
        np.frombuffer(plane, kind).reshape(plane.height, plane.line_size // kind.itemsize).astype(np.float32)
        for plane in frame.planes
    ]
    if name.startswith("ya"):
        packed = planes[0][:, : 2 * frame.width].reshape(frame.height, frame.width, 2)
        return packed[..., [0, 0, 0, 1]]
    if name.startswith("gray"):
        planes = [planes[0]] * 3
    else:
        planes = [planes[2], planes[0], planes[1], *planes[3:]]  # stored as green, blue, red
    return np.stack(planes, axis=-1)[:, : frame.width]


def srgb_of_linear(values: np.ndarray) -> np.ndarray:
    """Linear light as sRGB in [0,1] (IEC 61966-2-1); what is not a number is black, what is brighter than 1 white."""
    values = np.clip(np.nan_to_num(values, nan=0.0, posinf=1.0, neginf=0.0), 0.0, 1.0)
    return np.where(values <= 0.0031308, 12.92 * values, 1.055 * values ** (1 / 2.4) - 0.055)
