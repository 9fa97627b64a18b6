# SPDX-License-Identifier: GPL-3.0-or-later
"""Crops around faces: the one place where full-frame pixels become crop coordinates and back."""

from __future__ import annotations

import numpy as np

from blender_addon.contract.projection import CROP_SIZE

BOX_SCALE = 1.1 * 1.25
"""Side of the crop over the mean side of the landmark box, as DECA and EMOCA crop (`kpt68`: 1.1, then 1.25)."""


def crop_transforms(landmarks: np.ndarray) -> np.ndarray:
    """Square, unrotated crops around landmark boxes.

    Args:
        landmarks: (B,N,>=2) full-frame pixels.

    Returns:
        (B,3,3) transforms of full-frame pixels to pixels of a 224x224 crop.
    """
    points = np.asarray(landmarks, dtype=np.float64)[..., :2]
    low, high = points.min(axis=1), points.max(axis=1)
    centre = (low + high) / 2
    side = (high - low).mean(axis=1) * BOX_SCALE
    scale = CROP_SIZE / side
    transforms = np.zeros((len(points), 3, 3))
    transforms[:, 0, 0] = transforms[:, 1, 1] = scale
    transforms[:, :2, 2] = CROP_SIZE / 2 - centre * scale[:, None]
    transforms[:, 2, 2] = 1
    return transforms


def ndc_transforms(transforms: np.ndarray) -> np.ndarray:
    """(B,3,3) transforms of full-frame pixels to crop NDC: x right, y down, [-1,1] across the crop."""
    to_ndc = np.array([[2 / CROP_SIZE, 0, -1], [0, 2 / CROP_SIZE, -1], [0, 0, 1]])
    return to_ndc @ transforms


def apply_transforms(transforms: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Apply (B,3,3) affine transforms to (B,N,2) points."""
    return points @ np.swapaxes(transforms[:, :2, :2], 1, 2) + transforms[:, None, :2, 2]
