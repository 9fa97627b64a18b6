# SPDX-License-Identifier: GPL-3.0-or-later
"""What footage is to the rest of Mien: frames with times and numbers, wherever they come from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from blender_addon.contract.errors import ErrorCode, MienError

_NAMED = 12
"""Numbers or ranges that one sentence lists before it says how many more there are."""


@dataclass(frozen=True)
class ClipInfo:
    """What is known of a clip before its frames are read.

    Attributes:
        path: The file, the folder or the pattern.
        width: Pixels of the upright picture, scaled to square pixels where the file's are not.
        height: Likewise.
        numbers: (T,) int32, increasing: what users call the frames; 1, 2, ... in a video, the files' own numbers in a
            sequence.
        times: (T,) float64 seconds since the first frame, increasing. A sequence's gaps are gaps in time too.
        rate: Nominal frames per second; `times` tell the truth.
        missing: Numbers of a sequence between its first and its last for which there is no file.
        variable_rate: The frames do not follow each other evenly (a sequence's gaps do not count).
        focal_35mm: 35 mm equivalent focal length in millimetres as the camera noted it (by the diagonal), or None.
        focal_px: The focal length in pixels of the whole upright frame, or None; see `exif.focal_length`.
        problems: Plain sentences about what is wrong with the footage but does not hinder the capture.
    """

    path: Path
    width: int
    height: int
    numbers: np.ndarray
    times: np.ndarray
    rate: float
    missing: tuple[int, ...]
    variable_rate: bool
    focal_35mm: float | None
    focal_px: float | None
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Frame:
    """One picture of a clip.

    Attributes:
        index: Into `ClipInfo.numbers` and `ClipInfo.times`.
        time: Seconds since the clip's first frame.
        pixels: (H,W,3) uint8 sRGB, upright, contiguous.
    """

    index: int
    time: float
    pixels: np.ndarray


class Clip(ABC):
    """Footage that is open for reading. Leaving its context ends every iterator of frames.

    Attributes:
        info: What is known of it.
    """

    info: ClipInfo

    def __init__(self, info: ClipInfo) -> None:
        self.info = info
        self._lost: dict[int, str] = {}
        self._remarks: dict[str, None] = {}
        self._closed = False

    def frames(self, first: int = 0, last: int | None = None) -> Iterator[Frame]:
        """The frames of a range in the order in which they are shown, the same pixels wherever the range begins.

        Frames that cannot be read are left out and named in `problems`. One frame is held at a time. Iterators are
        independent of each other, each for one thread at a time; close one that is not read to its end.

        Args:
            first: Index of the first frame.
            last: Index of the last frame, inclusive; None for the clip's last.

        Raises:
            IndexError: A programming error: a range outside of the clip.
            MienError: MISSING_FILE or NOT_PERMITTED if the file is gone meanwhile.
            ValueError: The clip was closed.
        """
        end = len(self.info.times) - 1 if last is None else last
        if not 0 <= first <= end < len(self.info.times):
            raise IndexError(f"frames {first} to {end} of a clip with {len(self.info.times)}")
        return self._guarded(first, end)

    def _guarded(self, first: int, last: int) -> Iterator[Frame]:
        reading = self._read(first, last)
        try:
            while True:
                if self._closed:
                    raise ValueError("the clip is closed")
                if (frame := next(reading, None)) is None:
                    return
                yield frame
        finally:
            reading.close()

    @abstractmethod
    def _read(self, first: int, last: int) -> Iterator[Frame]:
        """Generate the frames of a valid range; closing the generator frees what it holds."""

    @property
    def problems(self) -> tuple[str, ...]:
        """The problems of `info` and those met so far while frames were read."""
        found = list(self.info.problems) + list(dict(self._remarks))
        lost = dict(self._lost)
        for reason in dict.fromkeys(lost.values()):
            numbers = [int(self.info.numbers[index]) for index in sorted(lost) if lost[index] == reason]
            one = len(numbers) == 1
            found.append(f"Frame{'' if one else 's'} {ranges(numbers)} {'is' if one else 'are'} left out: {reason}.")
        return tuple(found)

    def close(self) -> None:
        """End the clip; iterators that are still in use raise ValueError at their next frame."""
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def ranges(numbers: list[int]) -> str:
    """Increasing numbers in words: `3, 7-9, 12`; the first dozen of them."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    words = [str(low) if low == high else f"{low}-{high}" for low, high in runs[:_NAMED]]
    more = sum(high - low + 1 for low, high in runs[_NAMED:])
    return ", ".join(words) + (f" and {more} more" if more else "")


def bad_clip(path: Path, cause: str, reason: str, remedy: str) -> MienError:
    """The error for footage that cannot be used: BAD_CLIP with `details["cause"]`."""
    return MienError(ErrorCode.BAD_CLIP, f"{path} {reason}.", remedy, {"path": str(path), "cause": cause})
