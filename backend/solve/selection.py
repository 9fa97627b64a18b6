# SPDX-License-Identifier: GPL-3.0-or-later
"""Which frames pass 1 learns the head from: few, sharp, and as unlike each other as the clip has them."""

from __future__ import annotations

import numpy as np

TURN = np.radians(12.0)
"""A turn of the head that tells as much as one unit of distance."""
ROLL = 0.3
"""What a tilt of the head counts beside that; it shows no new side of the face."""
UNIT = 1.5
"""Change of the blendshape scores (their norm) that counts as one unit: poses tell more of a head than its faces."""
TIME = 0.02
"""What the whole length of a clip counts, so that frames that are alike are taken from all over it."""
PROFILE = np.radians(40.0)
"""Turn beyond which landmarks grow unreliable."""
FRONTAL = 4
"""One frame of this many is chosen from the frontal and expressionless ones."""


def choose_frames(rotation: np.ndarray, blendshapes: np.ndarray, quality: np.ndarray, count: int = 16) -> np.ndarray:
    """Choose frames for the joint solve: farthest points in pose and expression (Gonzalez 1985), weighted by quality.

    Args:
        rotation: (N,3) rough head rotations, axis-angle, radians.
        blendshapes: (N,52) scores.
        quality: (N,) how sharp and sure a frame is, in any unit, larger is better; a frame of 0 or less is only chosen
            where there are too few others.
        count: how many at most.

    Returns:
        Sorted indices, min(N, count) of them.
    """
    total = len(quality)
    if total <= count:
        return np.arange(total)
    worth = _worth(rotation, quality)
    features = np.concatenate(
        [
            rotation / TURN * [1, 1, ROLL],
            blendshapes[:, 1:] / UNIT,
            np.linspace(0, TIME, total)[:, None],
        ],
        axis=1,
    )
    rest = np.linalg.norm(rotation[:, :2], axis=1) / TURN + np.linalg.norm(blendshapes[:, 1:], axis=1) / UNIT
    at_rest = worth * np.exp(-rest)
    chosen: list[int] = []
    nearest = np.full(total, np.inf)
    for turn in range(count):
        if turn == 0:
            gain = at_rest
        elif turn % FRONTAL == 0:
            gain = at_rest * np.minimum(nearest, 1)
        else:
            gain = worth * nearest
        index = int(np.argmax(np.where(np.isin(np.arange(total), chosen), -1.0, gain)))
        chosen.append(index)
        nearest = np.minimum(nearest, np.linalg.norm(features - features[index], axis=1))
    return np.sort(np.array(chosen))


def _worth(rotation: np.ndarray, quality: np.ndarray) -> np.ndarray:
    """(N,) in 0..1: quality relative to the better frames, less for profiles; never quite 0, to tell these apart."""
    good = max(float(np.quantile(quality, 0.9)), 1e-12)
    beyond = np.maximum(np.linalg.norm(rotation[:, :2], axis=1) - PROFILE, 0) / TURN
    return np.clip(quality / good, 1e-6, 1) * np.exp(-(beyond**2))
