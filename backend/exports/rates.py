# SPDX-License-Identifier: GPL-3.0-or-later
"""Frame rates: as times show them, and as whole numbers over 1 or 1001."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

_NOMINAL = (12, 15, 16, 24, 25, 30, 48, 50, 60, 90, 100, 120, 240)
_COMMON = tuple(Fraction(rate) for rate in _NOMINAL) + tuple(
    Fraction(rate * 1000, 1001) for rate in (24, 30, 48, 60, 120, 240)
)
_NEAR = 2e-4
"""Relative; 24 and 23.976 are five times as far from each other."""


def steady_step(times: np.ndarray) -> float:
    """Seconds from a frame to the next where none is missing; 0 where there are not two times."""
    steps = np.diff(times)
    steps = steps[steps > 0]
    if not len(steps):
        return 0.0
    middle = float(np.median(steps))
    near = np.abs(steps / middle - 1) < 0.5
    return float(steps[near].mean())


def average_rate(times: np.ndarray) -> float:
    """Frames per second of times without gaps, as a rate of film or video where one is near; 0 for a still."""
    length = float(times[-1] - times[0])
    return _common_rate((len(times) - 1) / length) if length > 0 else 0.0


def _common_rate(rate: float) -> float:
    """The rate of film or video that is meant by a measured one; the measured one where none is that near."""
    nearest = min(_COMMON, key=lambda common: abs(float(common) - rate))
    return float(nearest) if abs(float(nearest) / rate - 1) < _NEAR else round(rate, 6)
