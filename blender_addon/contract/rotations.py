# SPDX-License-Identifier: GPL-3.0-or-later
"""Axis-angle rotations as unit quaternions, for what must not see the jump of an axis-angle vector at half a turn."""

from __future__ import annotations

import numpy as np

_SMALL = 1e-12


def to_quaternions(axis_angle: np.ndarray) -> np.ndarray:
    """(..., 3) radians to (..., 4) unit quaternions w, x, y, z, float64."""
    axis_angle = np.asarray(axis_angle, dtype=np.float64)
    half = np.linalg.norm(axis_angle, axis=-1, keepdims=True) / 2
    return np.concatenate((np.cos(half), axis_angle / 2 * np.sinc(half / np.pi)), axis=-1)


def to_axis_angles(quaternions: np.ndarray) -> np.ndarray:
    """(..., 4) unit quaternions to (..., 3) radians, by angles from 0 to a full turn.

    A quaternion with w < 0 gives an angle beyond half a turn, so a series without jumps of sign gives one without
    jumps of a turn.
    """
    sine = np.linalg.norm(quaternions[..., 1:], axis=-1, keepdims=True)
    angle = 2 * np.arctan2(sine, quaternions[..., :1])
    return quaternions[..., 1:] * np.where(sine > _SMALL, angle / np.maximum(sine, _SMALL), 2.0)


def same_side(quaternions: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Flip signs so that no quaternion is opposite to the one before it.

    Args:
        quaternions: (T, 4).
        starts: (T,) bool, True where a new series begins; each series has w >= 0 on the average.
    """
    turned = (quaternions[1:] * quaternions[:-1]).sum(axis=-1) < 0
    turned[starts[1:]] = False
    series = np.cumsum(starts) - starts[0]
    flips = np.concatenate(([0], np.cumsum(turned)))
    signs = np.where(flips % 2, -1.0, 1.0)
    mean = np.bincount(series, weights=signs * quaternions[:, 0])
    return quaternions * (signs * np.where(mean < 0, -1.0, 1.0)[series])[:, None]


def rotate(quaternions: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """(..., 3): a vector (3,) turned by each of the unit quaternions (..., 4)."""
    w, axis = quaternions[..., :1], quaternions[..., 1:]
    across = 2 * np.cross(axis, vector)
    return vector + w * across + np.cross(axis, across)


def multiply(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(..., 4): Hamilton products; `right` turns first."""
    w, v, other, u = left[..., :1], left[..., 1:], right[..., :1], right[..., 1:]
    scalar = w * other - (v * u).sum(axis=-1, keepdims=True)
    return np.concatenate((scalar, w * u + other * v + np.cross(v, u)), axis=-1)


def power(quaternions: np.ndarray, part: np.ndarray) -> np.ndarray:
    """(..., 4): the `part` (...,) of the shorter way from no rotation to each of the unit quaternions (..., 4)."""
    shorter = np.where(quaternions[..., :1] < 0, -quaternions, quaternions)
    return to_quaternions(to_axis_angles(shorter) * np.asarray(part)[..., None])


def slerp(start: np.ndarray, end: np.ndarray, part: np.ndarray) -> np.ndarray:
    """(..., 4): unit quaternions on the shorter way from `start` (0) to `end` (1), at a steady speed."""
    way = multiply(start * np.array([1.0, -1.0, -1.0, -1.0]), end)
    return multiply(start, power(way, part))
