# SPDX-License-Identifier: GPL-3.0-or-later
"""Where on the timeline the frames of a take fall, and which picture of the footage belongs to a scene's frame. No bpy.

Blender shows one picture of a movie per scene frame, whatever the scene's rate. "conform" keys one source frame per
scene frame, so both run alike; "source" keeps real time, and the footage is shown at other frames instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from ..contract.take import Take

Timing = Literal["conform", "source"]
"""conform: one source frame per scene frame. source: real time at the scene's frame rate."""
TIMINGS: tuple[Timing, ...] = get_args(Timing)

_SNAP = 0.05
"""Frames; what containers round timestamps to (a millisecond) is less."""
_HALF = 1e-6
"""Frames; samples half way between frames all go down, so that two that are a frame apart do not meet."""
_APART = 0.01
"""Least distance in frames of two keys; frames of a take may have equal times."""


@dataclass(frozen=True)
class Retiming:
    """Which pictures a range of scene frames shows.

    Attributes:
        first, last: Scene frames.
        numbers: (last - first + 1,) picture of each of these frames.
        steady: Whether the pictures' numbers run with the scene frames; there may be frames without a picture.
        off: Largest distance, in scene frames, between a scene frame of the take and the picture that it shows.
    """

    first: int
    last: int
    numbers: np.ndarray
    steady: bool
    off: float


def is_clip(take: Take) -> bool:
    """Whether a take is of footage; a still has no frame rate."""
    return len(take) > 1 or take.meta.rate > 0


def source_rate(take: Take) -> float:
    """Nominal frames per second of a take's source; 24 where nothing tells."""
    if take.meta.rate > 0:
        return take.meta.rate
    steps = np.diff(take.time)
    middle = float(np.median(steps)) if len(steps) else 0.0
    return 1.0 / middle if middle > 0 else 24.0


def key_frames(take: Take, start: float, rate: float, timing: Timing) -> np.ndarray:
    """Scene frame (T,) float64 of each sample, by its timestamp: the first falls on `start`, no two on one another.

    Conformed samples lie on whole frames, where no other one does, so that the head stands exactly over the picture
    that is shown there; uneven ones are moved by up to half a frame for it.

    Args:
        take: The take.
        start: Scene frame of the first sample.
        rate: Scene frames per second of the source's time.
        timing: Conformed, or as the timestamps have it.
    """
    frames = start + (take.time - take.time[0]) * rate
    whole = np.floor(frames + 0.5 - _HALF)
    if timing == "conform":
        alone = np.ones(len(frames), dtype=bool)
        shared = np.diff(whole) == 0
        alone[1:] &= ~shared
        alone[:-1] &= ~shared
    else:
        alone = np.abs(frames - whole) < _SNAP
    frames = np.where(alone, whole, frames)
    steps = np.arange(len(frames)) * _APART
    return np.maximum.accumulate(frames - steps) + steps if (np.diff(frames) < _APART).any() else frames


def movie_numbers(take: Take, reader_rate: float) -> np.ndarray:
    """Picture (T,), from 1, that Blender's movie reader gives for each sample.

    The reader's picture n is the last whose timestamp is not after (n - 1) / rate, where its rate is its own guess: a
    clip of uneven frames may have 120 pictures a second there. The middle of the time for which a frame is to be seen
    is safe against rounding.

    Args:
        take: The take of a movie.
        reader_rate: Frames per second that Blender gives to the file.
    """
    time = take.time + _range_offset(take)
    until = np.append(time[1:], time[-1] + 1.0 / source_rate(take))
    return 1 + np.floor((time + until) / 2.0 * reader_rate).astype(int)


def retiming(frames: np.ndarray, numbers: np.ndarray) -> Retiming:
    """For each scene frame of a take the picture of the nearest sample.

    Args:
        frames: (T,) scene frames of the samples, from `key_frames`.
        numbers: (T,) picture of each sample.
    """
    first, last = int(np.floor(frames[0])), int(np.ceil(frames[-1]))
    shown = np.arange(first, last + 1)
    after = np.clip(np.searchsorted(frames, shown), 0, len(frames) - 1)
    before = np.maximum(after - 1, 0)
    nearest = np.where(shown - frames[before] < frames[after] - shown, before, after)
    chosen = numbers[nearest]
    inside = (shown >= frames[0]) & (shown <= frames[-1])
    off = float(np.abs(frames[nearest] - shown)[inside].max(initial=0.0))
    return Retiming(first, last, chosen, bool(np.ptp(numbers - frames) == 0), off)


def _range_offset(take: Take) -> float:
    """Seconds to add to a take's times where they count from a range's beginning, not from the clip's."""
    numbers = take.extra.get("frame")
    if numbers is None or take.time[0] > 0:
        return 0.0
    return float(numbers[0] - 1) / source_rate(take)
