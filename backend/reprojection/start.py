# SPDX-License-Identifier: GPL-3.0-or-later
"""First guesses: where the mean head stands, and how a weak-perspective head stands before a pinhole camera."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from blender_addon.contract.projection import HEAD_TO_CAMERA


def align(model: np.ndarray, seen: np.ndarray, root: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Similarity of a rigid head to detected landmarks (Umeyama 1991), the scale taken from the image alone.

    Args:
        model: (N,3) or (B,N,3) landmarks of the unturned head, metres, head space.
        seen: (B,N,3) detected landmarks in crop NDC, depth in the scale of x.
        root: (3,) root joint, about which the head turns.

    Returns:
        Head rotations (B,3,3) and weak-perspective cameras (B,3): s, tx, ty.
    """
    upright = seen @ HEAD_TO_CAMERA
    middle = model.mean(axis=-2, keepdims=True)
    centred = model - middle
    target = upright - upright.mean(axis=1, keepdims=True)
    u, _, vt = np.linalg.svd(target.swapaxes(1, 2) @ centred)
    signs = np.ones((len(seen), 1, 3))
    signs[:, 0, 2] = np.linalg.det(u @ vt)
    rotation = (u * signs) @ vt
    flat = (centred @ rotation.swapaxes(1, 2))[..., :2]
    scale = (flat * target[..., :2]).sum(axis=(1, 2)) / (flat**2).sum(axis=(1, 2))
    posed_middle = ((middle - root) @ rotation.swapaxes(1, 2) + root)[:, 0]
    shift = upright.mean(axis=1)[:, :2] / scale[:, None] - posed_middle[:, :2]
    return rotation, np.concatenate([scale[:, None], shift], axis=1)


def weak_to_perspective(crop_camera: np.ndarray, matrix: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Translations under which a pinhole camera sees a point of the head as weak perspective does: depth = f / s.

    Args:
        crop_camera: (B,3) s, tx, ty.
        matrix: (B,3,3) camera space to homogeneous crop NDC.
        centre: (3,) or (B,3) the point, metres, head space.

    Returns:
        (B,3) metres in camera space.
    """
    scale, x, y = crop_camera.T
    ndc = np.stack([scale * (centre[..., 0] + x), -scale * (centre[..., 1] + y), np.ones_like(scale)], axis=1)
    ray = (np.linalg.inv(matrix) @ ndc[..., None])[..., 0]
    depth = matrix[:, 0, 0] / scale
    return ray * (depth / ray[:, 2])[:, None] - centre @ HEAD_TO_CAMERA


def perspective_to_weak(translation: np.ndarray, matrix: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """The inverse of `weak_to_perspective`: weak-perspective cameras (B,3) that see the point where a pinhole does."""
    space = centre @ HEAD_TO_CAMERA + translation
    image = (matrix @ space[..., None])[..., 0]
    ndc = image[:, :2] / image[:, 2:] * [1.0, -1.0]
    scale = matrix[:, 0, 0] / space[:, 2]
    return np.concatenate([scale[:, None], ndc / scale[:, None] - np.broadcast_to(centre, space.shape)[:, :2]], axis=1)


def view_rays(matrix: np.ndarray) -> np.ndarray:
    """(B,3) unit directions in camera space of the middles of the crops, from matrices (B,3,3) as above."""
    rays = np.linalg.inv(matrix)[..., 2]
    return rays / np.linalg.norm(rays, axis=1, keepdims=True)


def turned_into_view(rotation: np.ndarray, rays: np.ndarray) -> np.ndarray:
    """Head rotations (B,3,3) as a crop by itself shows them to those before a camera that sees the head off its axis.

    The head turns by the shortest rotation that takes the optical axis onto the ray (B,3).
    """
    axis = np.cross([0.0, 0.0, 1.0], rays)
    sine = np.linalg.norm(axis, axis=1, keepdims=True)
    turn = Rotation.from_rotvec(axis / np.maximum(sine, 1e-12) * np.arctan2(sine, rays[:, 2:]))
    return HEAD_TO_CAMERA @ turn.as_matrix() @ HEAD_TO_CAMERA @ rotation
