# SPDX-License-Identifier: GPL-3.0-or-later
"""Times and rates from the container's timestamps."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

_USUAL = [
    Fraction(text)
    for text in "10 12 12.5 15 24000/1001 24 25 30000/1001 30 48000/1001 48 50 60000/1001 60 90 100 120000/1001 120 240".split()  # noqa: E501
]
"""Rates that cameras and programs use; a measured rate within `_NEAR` of one is that one."""
_ROUNDED = 1e-5
"""How near a header's rate must be: headers round, too."""
_NEAR = 0.0004
_COARSE = 0.004
"""How near where the clock's unit leaves more doubt; 23.976 and 24 are 0.001 apart, and the nearest one wins."""


def seconds(stamps: np.ndarray, base: Fraction) -> np.ndarray:
    """Times (T,) float64 since the first of the timestamps (T,) int64 in units of `base` seconds."""
    return (stamps - stamps[0]) * base.numerator / base.denominator


def is_even(times: np.ndarray, tick: float) -> bool:
    """Whether frames follow each other evenly, up to the rounding of their times to the container's clock.

    Args:
        times: (T,) seconds.
        tick: The clock's unit in seconds.
    """
    if len(times) < 3:
        return True
    step = (times[-1] - times[0]) / (len(times) - 1)
    off = times - times[0] - step * np.arange(len(times))
    # The fitted step and each time are off by up to half a tick or, where a program cut digits off, by a whole one.
    return float(np.ptp(off)) <= max(2 * tick, 0.02 * step)


def nominal_rate(times: np.ndarray, tick: float, claimed: Fraction | None) -> float:
    """The frames per second that a program should be set to for this footage.

    The mean rate of even footage, the most common one (the median gap) of other footage; a usual rate where that is
    the same within what the clock can tell.

    Args:
        times: (T,) seconds.
        tick: The clock's unit in seconds.
        claimed: What the header says; taken for a single frame, and between equals.

    Returns:
        Frames per second, > 0.
    """
    if len(times) < 2:
        return float(claimed) if claimed and 0 < claimed <= 1000 else 24.0
    even = is_even(times, tick)
    gaps = np.diff(times)
    # The gaps that differ from the median by no more than the clock's rounding are one gap; their mean is finer.
    step = float(np.mean(gaps if even else gaps[np.abs(gaps - np.sort(gaps)[len(gaps) // 2]) <= 1.5 * tick]))
    measured = 1.0 / step
    near = max(_NEAR, min(2 * tick / step / len(gaps), _COARSE)) if even else _COARSE
    if claimed and abs(float(claimed) - measured) <= near * measured:
        return _usual(float(claimed), _ROUNDED)
    return _usual(measured, near)


def _usual(rate: float, near: float) -> float:
    """The usual rate nearest to one if it is within a share `near` of it, else the rate itself."""
    nearest = min((float(usual) for usual in _USUAL), key=lambda usual: abs(usual - rate))
    return nearest if abs(nearest - rate) <= near * rate else rate
