# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns of the jaw as linear blend skinning gives them to a vertex: (1 - w) I + w R, its inverse and its derivative."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

_STILL = 1e-9
"""Radians under which a turn has no axis."""


def turned(turns: np.ndarray, vectors: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Vectors turned by a share of a rotation.

    Args:
        turns: (T,3) axis-angle radians.
        vectors: (T,N,3) or (N,3).
        weights: (N,) skinning weights.

    Returns:
        (T,N,3): ((1 - w) I + w R) v.
    """
    whole = vectors @ np.swapaxes(matrices(turns), 1, 2)
    return vectors + weights[:, None] * (whole - vectors)


def turned_back(turns: np.ndarray, vectors: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Inverse of `turned`.

    Across the axis a blended turn is the complex number a + ib with a = 1 - w + w cos, b = w sin, so dividing by it
    undoes the turn and the shrinkage that blending brings.
    """
    angle = np.linalg.norm(turns, axis=-1)[:, None]
    axis = (turns / np.maximum(angle, _STILL))[:, None, :]
    along = (vectors * axis).sum(axis=-1, keepdims=True) * axis
    across = vectors - along
    real, imaginary = 1 - weights * (1 - np.cos(angle)), weights * np.sin(angle)
    squared = np.maximum(real**2 + imaginary**2, _STILL)
    return along + (real / squared)[..., None] * across - (imaginary / squared)[..., None] * np.cross(axis, across)


def matrices(turns: np.ndarray) -> np.ndarray:
    """(T,3,3) rotation matrices of axis-angle vectors (T,3)."""
    return Rotation.from_rotvec(turns).as_matrix()


def turned_on(turns: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """(T,3) axis-angle of turns (T,3) that are turned on by small steps (T,3)."""
    return (Rotation.from_rotvec(steps) * Rotation.from_rotvec(turns)).as_rotvec()
