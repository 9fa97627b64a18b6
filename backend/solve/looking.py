# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaze over time: lids that close hide the eyes, which go on looking where they looked."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_dilation, median_filter

from backend.reprojection.outcome import IRIS_HIDDEN_FROM

CLOSING = 0.12
"""Closure above that of the moments around from which on lids take the landmarks of the iris along."""
AROUND_SECONDS = 0.7
"""The moments around: longer than two blinks."""
BESIDE_SECONDS = 0.04
"""Time before and after in which they do so too."""
FULL_TURN = np.radians(30.0)
"""Turn of an eye that goes with an eyeLook unit of 1."""


def through_blinks(
    time: np.ndarray, seen: np.ndarray, segment: np.ndarray, eyelids: np.ndarray, eyes: np.ndarray
) -> np.ndarray:
    """Eye rotations that pass from before a blink to after it.

    Args:
        time: (T,) seconds, rising.
        seen: (T,) bool, frames whose gaze was found.
        segment: (T,) the shot of each frame; nothing passes through a cut.
        eyelids: (T,2) closure.
        eyes: (T,6) axis-angle, left then right.

    Returns:
        (T,6), changed only in seen frames in which both lids close, and beside them.
    """
    if len(time) < 2:
        return np.array(eyes)
    shut, result = _shut(time, eyelids.min(axis=1)), np.array(eyes)
    for shot in np.unique(segment):
        here = segment == shot
        open_, hidden = here & seen & ~shut, here & seen & shut
        if open_.any():
            for column in range(eyes.shape[1]):
                result[hidden, column] = np.interp(time[hidden], time[open_], eyes[open_, column])
    return result


def _shut(time: np.ndarray, closure: np.ndarray) -> np.ndarray:
    """(T,) bool: frames with the lids closed or on their way."""
    step = max(float(np.median(np.diff(time))), 1e-3)
    usual = median_filter(closure, 2 * round(AROUND_SECONDS / 2 / step) + 1, mode="nearest")
    beside = np.ones(2 * round(BESIDE_SECONDS / step) + 1)
    return binary_dilation((closure > usual + CLOSING) | (closure >= IRIS_HIDDEN_FROM), beside)


def sideways_units(names: tuple[str, ...], expression: np.ndarray, eyes: np.ndarray) -> np.ndarray:
    """Expression (T,E) whose eyeLookIn and eyeLookOut go with the eyes' own turns (T,6).

    Sideways the lids hardly follow, and irises tell more than scores; up and down the scores tell how far lids follow.
    """
    result = np.array(expression)
    for side, outwards in (("Left", eyes[:, 1]), ("Right", -eyes[:, 4])):
        for unit, turn in (("Out", outwards), ("In", -outwards)):
            name = f"eyeLook{unit}{side}"
            if name in names:
                result[:, names.index(name)] = np.clip(turn / FULL_TURN, 0, 1)
    return result
