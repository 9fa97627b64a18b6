# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaze in closed form: the ray through the seen iris meets the eye's sphere; both eyes then look at one thing."""

from __future__ import annotations

import numpy as np

LIMIT = np.radians(35.0)
"""Largest turn of an eye from rest."""
CONVERGENCE = np.radians(16.0)
"""Largest angle between the two lines of sight: a thing about 20 cm away. Eyes do not diverge."""


def eye_rotations(
    origins: np.ndarray,
    directions: np.ndarray,
    eye_joints: np.ndarray,
    rest_iris: np.ndarray,
    head_to_camera: np.ndarray,
    seen: np.ndarray,
) -> np.ndarray:
    """Rotations of the eyes, without roll, that bring the irises onto their rays as far as two eyes can.

    Args:
        origins: (B,2,3) a point of each ray, camera space, metres; left eye first.
        directions: (B,2,3) unit directions, away from the camera.
        eye_joints: (B,2,3) centres of the eyes, camera space.
        rest_iris: (B,2,3) iris centres relative to the joints at rest, head space.
        head_to_camera: (B,3,3) rotation of the head into camera space.
        seen: (B,2) bool, whether the lids leave the iris to be seen; a hidden eye follows the other one, and where
            both are hidden they rest.

    Returns:
        (B,6) axis-angle in head space, left then right.
    """
    radius = np.linalg.norm(rest_iris, axis=-1, keepdims=True)
    centre = eye_joints - origins
    along = (centre * directions).sum(axis=-1, keepdims=True)
    aside = along * directions - centre
    half_chord = np.sqrt(np.maximum(radius**2 - (aside**2).sum(axis=-1, keepdims=True), 0))
    gaze = (aside - half_chord * directions) @ head_to_camera
    angles = _angles(gaze) - _angles(rest_iris)
    return _without_roll(_conjugate(angles, seen) + _angles(rest_iris), rest_iris)


def _angles(directions: np.ndarray) -> np.ndarray:
    """(...,3) to yaw (towards the person's left) and pitch (up), (...,2) radians."""
    x, y, z = np.moveaxis(directions, -1, 0)
    return np.stack([np.arctan2(x, z), np.arctan2(y, np.hypot(x, z))], axis=-1)


def _conjugate(angles: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """(B,2,2) yaw and pitch of each eye from rest, made to look at one thing in front of the face."""
    weight = np.where(seen.any(axis=1, keepdims=True), seen, 0.0)[..., None]
    mean = (angles * weight).sum(axis=1) / np.maximum(weight.sum(axis=1), 1)
    vergence = np.where(seen.all(axis=1), angles[:, 1, 0] - angles[:, 0, 0], 0.0)
    half = np.clip(vergence, 0, CONVERGENCE) / 2
    both = np.stack([mean, mean], axis=1)
    both[:, 0, 0] -= half
    both[:, 1, 0] += half
    return np.clip(both, -LIMIT, LIMIT)


def _without_roll(angles: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """(B,2,2) directions as yaw and pitch to (B,6) rotations from rest about the axis orthogonal to both."""
    yaw, pitch = angles[..., 0], angles[..., 1]
    target = np.stack([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)], axis=-1)
    start = rest / np.linalg.norm(rest, axis=-1, keepdims=True)
    axis = np.cross(start, target)
    sine = np.linalg.norm(axis, axis=-1, keepdims=True)
    angle = np.arctan2(sine, (start * target).sum(axis=-1, keepdims=True))
    return (axis / np.maximum(sine, 1e-9) * angle).reshape(-1, 6)
