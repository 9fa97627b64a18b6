# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaze in closed form: the ray through the seen iris meets the eye's sphere."""

from __future__ import annotations

import numpy as np


def eye_rotations(
    origins: np.ndarray,
    directions: np.ndarray,
    eye_joints: np.ndarray,
    rest_iris: np.ndarray,
    head_to_camera: np.ndarray,
    limit: float,
) -> np.ndarray:
    """Rotations of the eyes, without roll, that bring each iris onto its ray.

    Args:
        origins: (B,2,3) a point of each ray, camera space, metres; left eye first.
        directions: (B,2,3) unit directions, away from the camera.
        eye_joints: (B,2,3) centres of the eyes, camera space.
        rest_iris: (B,2,3) iris centres relative to the joints at rest, head space.
        head_to_camera: (B,3,3) rotation of the head into camera space.
        limit: largest angle from rest, radians.

    Returns:
        (B,6) axis-angle in head space, left then right.
    """
    radius = np.linalg.norm(rest_iris, axis=-1, keepdims=True)
    centre = eye_joints - origins
    along = (centre * directions).sum(axis=-1, keepdims=True)
    aside = along * directions - centre
    half_chord = np.sqrt(np.maximum(radius**2 - (aside**2).sum(axis=-1, keepdims=True), 0))
    seen = (aside - half_chord * directions) @ head_to_camera
    seen /= np.linalg.norm(seen, axis=-1, keepdims=True)
    rest = rest_iris / radius
    axis = np.cross(rest, seen)
    sine = np.linalg.norm(axis, axis=-1, keepdims=True)
    angle = np.arctan2(sine, (rest * seen).sum(axis=-1, keepdims=True))
    return (axis / np.maximum(sine, 1e-9) * np.minimum(angle, limit)).reshape(-1, 6)
