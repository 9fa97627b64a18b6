# SPDX-License-Identifier: GPL-3.0-or-later
"""Rotations over time in the forms in which Blender keys them: Euler angles of any order, axis and angle. No bpy."""

from __future__ import annotations

import numpy as np

from ..axes import matrices

_GIMBAL = 16 * np.finfo(np.float32).eps
"""Cosine of the middle angle under which the outer two turn about one axis."""
_STILL = 1e-9


def eulers(quaternions: np.ndarray, order: str, starts: np.ndarray) -> np.ndarray:
    """Euler angles (T, 3) x, y, z in radians, as mathutils' `to_euler` gives them, without jumps inside a series.

    A rotation has two sets of angles, (x, y, z) and (x + pi, pi - y, z + pi), each up to whole turns. The first of a
    series is the one that turns less; each later one is nearer to the one before it.

    Args:
        quaternions: (T, 4) unit quaternions w, x, y, z.
        order: "XYZ" or another order of the three axes; the first turns first.
        starts: (T,) bool, True where a new series begins.
    """
    principal = _principal(quaternions, order)
    middle = "XYZ".index(order[1])
    result = np.empty_like(principal)
    edges = np.append(np.flatnonzero(starts | (np.arange(len(starts)) == 0)), len(starts))
    for first, end in zip(edges[:-1], edges[1:], strict=True):
        result[first:end] = _continuous(principal[first:end], middle)
    return result


def axis_angles(quaternions: np.ndarray) -> np.ndarray:
    """Angle and axis (T, 4) of unit quaternions (T, 4), without the axis' jumping to its opposite."""
    sine = np.linalg.norm(quaternions[:, 1:], axis=-1)
    turning = sine > _STILL
    if not turning.any():
        return np.tile((0.0, 0.0, 1.0, 0.0), (len(quaternions), 1))
    last = np.maximum.accumulate(np.where(turning, np.arange(len(sine)), -1))
    held = np.where(last < 0, np.flatnonzero(turning)[0], last)  # where nothing turns, the axis stays
    axes = quaternions[held, 1:] / sine[held, None]
    flips = np.where((axes[1:] * axes[:-1]).sum(axis=-1) < 0, -1.0, 1.0)
    signs = np.concatenate(([1.0], np.cumprod(flips)))
    angle = 2.0 * np.arctan2(np.where(turning, sine, 0.0), quaternions[:, 0])
    angle = (angle + np.pi) % (2.0 * np.pi) - np.pi
    return np.concatenate(((np.unwrap(angle * signs))[:, None], axes * signs[:, None]), axis=-1)


def _principal(quaternions: np.ndarray, order: str) -> np.ndarray:
    """Angles (T, 3) with the middle one within a quarter turn (Shoemake, Graphics Gems IV, 1994)."""
    i, j, k = ("XYZ".index(axis) for axis in order)
    odd = (j - i) % 3 != 1
    matrix = matrices(quaternions)
    cosine = np.hypot(matrix[:, i, i], matrix[:, j, i])
    free = cosine > _GIMBAL
    angles = np.empty((len(matrix), 3))
    angles[:, i] = np.where(
        free, np.arctan2(matrix[:, k, j], matrix[:, k, k]), np.arctan2(-matrix[:, j, k], matrix[:, j, j])
    )
    angles[:, j] = np.arctan2(-matrix[:, k, i], cosine)
    angles[:, k] = np.where(free, np.arctan2(matrix[:, j, i], matrix[:, i, i]), 0.0)
    return -angles if odd else angles


def _continuous(angles: np.ndarray, middle: int) -> np.ndarray:
    """Choose between the two sets frame by frame. Changing to the other set keeps distances, so that whether to change
    shows on the principal sets alone.
    """
    other = angles + np.pi
    other[:, middle] = np.pi - angles[:, middle]
    change = _turn(other[1:] - angles[:-1]) < _turn(angles[1:] - angles[:-1])
    first = np.abs(_wrapped(other[0])).sum() < np.abs(angles[0]).sum()
    use_other = (first + np.concatenate(([0], np.cumsum(change)))) % 2 == 1
    chosen = np.where(use_other[:, None], other, angles)
    chosen[0] = _wrapped(chosen[0])
    return np.unwrap(chosen, axis=0)


def _wrapped(angles: np.ndarray) -> np.ndarray:
    return (angles + np.pi) % (2.0 * np.pi) - np.pi


def _turn(differences: np.ndarray) -> np.ndarray:
    return np.abs(_wrapped(differences)).sum(axis=-1)
