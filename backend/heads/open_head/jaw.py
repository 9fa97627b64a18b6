# SPDX-License-Identifier: GPL-3.0-or-later
"""The jaw joint: skinning weights and pose correctives that turn a rotation of the jaw into ARKit's jawOpen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

JAW_FEATURES = slice(9, 18)
"""Rows of the pose correctives that belong to the jaw (joint-major, R - I row-major)."""

_QUIET_ARM = 0.0015
"""Below this arm (metres) a rotation says little about a vertex and its weight fades."""


@dataclass(frozen=True)
class Jaw:
    """How jawOpen is made of a rotation.

    Attributes:
        angle: radians about x of the whole unit.
        weights: (V,) skinning weight of the jaw joint.
        correctives: (36, V*3) pose correctives.
        residual: (V,) metres left by skinning alone.
    """

    angle: float
    weights: NDArray[np.float64]
    correctives: NDArray[np.float64]
    residual: NDArray[np.float64]


def rotation_about_x(angle: float) -> NDArray[np.float64]:
    """Rotation matrix about x."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])


def opening_angle(teeth: NDArray[np.float64], displacement: NDArray[np.float64]) -> float:
    """Angle about x of the rigid motion that moves the lower teeth (n,3) by displacement (n,3)."""
    before = (teeth - teeth.mean(axis=0))[:, 1:]
    after = (teeth + displacement - (teeth + displacement).mean(axis=0))[:, 1:]
    cross = np.sum(before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0])
    return float(np.arctan2(cross, np.sum(before * after)))


def fit_jaw(
    template: NDArray[np.float64],
    pivot: NDArray[np.float64],
    jaw_open: NDArray[np.float64],
    lower_teeth: NDArray[np.int64],
    still: NDArray[np.int64],
) -> Jaw:
    """Fit weights and correctives of the jaw.

    Args:
        template: (V,3) metres.
        pivot: (3,) the jaw joint.
        jaw_open: (V,3) displacement of the whole unit.
        lower_teeth: vertices that turn rigidly.
        still: vertices that never follow the jaw (eyeballs).
    """
    angle = opening_angle(template[lower_teeth], jaw_open[lower_teeth])
    turn = rotation_about_x(angle) - np.eye(3)
    swing = (template - pivot) @ turn.T
    weights = np.sum(jaw_open * swing, axis=1) / (np.sum(swing**2, axis=1) + _QUIET_ARM**2)
    weights = np.clip(weights, 0.0, 1.0)
    weights[lower_teeth] = 1.0
    weights[still] = 0.0
    missing = jaw_open - weights[:, None] * swing
    rest = undo_jaw(missing, weights, angle)
    rows = np.zeros((36, rest.size))
    feature = turn.ravel()
    # Least norm: the residual grows with sin and 1-cos as the jaw opens and is whole at the unit's angle.
    rows[JAW_FEATURES] = np.outer(feature / np.dot(feature, feature), rest.ravel())
    return Jaw(angle, weights, rows, np.linalg.norm(missing, axis=1))


def undo_jaw(offsets: NDArray[np.float64], weights: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    """Offsets (V,3) which, added before skinning, appear as the given ones once the jaw is open by ``angle``."""
    blended = np.eye(3) + weights[:, None, None] * (rotation_about_x(angle) - np.eye(3))
    return np.linalg.solve(blended, offsets[:, :, None])[:, :, 0]
