# SPDX-License-Identifier: GPL-3.0-or-later
"""A moving average by the clock that delays nothing."""

from __future__ import annotations

import numpy as np

REACH = 3.0
"""Standard deviations beyond which frames count for nothing."""


def smoothed(time: np.ndarray, values: np.ndarray, segment: np.ndarray, seconds: float) -> np.ndarray:
    """Values averaged over the frames about them, weighted by a Gaussian of their distance in time.

    Args:
        time: (N,) seconds, not decreasing.
        values: (N,C)
        segment: (N,) the shot of each frame; shots do not see each other.
        seconds: Standard deviation; 0 gives the values as they are.

    Returns:
        (N,C) float64. A value that does not change stays exactly as it is.
    """
    values = np.asarray(values, np.float64)
    if seconds <= 0 or len(values) < 2:
        return values.copy()
    total, weight = np.zeros_like(values), np.ones((len(values), 1))
    for step in range(1, len(values)):
        apart = time[step:] - time[:-step]
        near = (apart <= REACH * seconds) & (segment[step:] == segment[:-step])
        if not near.any():
            break
        share = np.where(near, np.exp(-0.5 * (apart / seconds) ** 2), 0.0)[:, None]
        change = share * (values[step:] - values[:-step])
        total[:-step] += change
        total[step:] -= change
        weight[:-step] += share
        weight[step:] += share
    return values + total / weight
