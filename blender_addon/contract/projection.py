# SPDX-License-Identifier: GPL-3.0-or-later
"""The camera convention, shared by the solve, the overlays and Blender.

Head space: metres, x to the person's left, y up, z out of the face. Camera space is OpenCV's: metres, x right, y down,
z forward. A vertex p posed by the head model (head rotation about the root joint already applied) has camera
coordinates `HEAD_TO_CAMERA @ p + translation`, and falls on the pixel `K X / z`, origin top left, pixel centres at
+0.5.

Weak perspective (engines that see a crop): `ndc = s * (x + tx, y + ty)` with y then negated, where ndc [-1, 1] spans
the crop; `crop_transform` (3, 3) maps full-frame pixels to crop pixels.
"""

from __future__ import annotations

import numpy as np

HEAD_TO_CAMERA = np.diag([1.0, -1.0, -1.0])
HEAD_TO_CAMERA.flags.writeable = False

CROP_SIZE = 224
"""Side of the square crop that engines see, in pixels."""

SENSOR_WIDTH_35MM = 36.0
"""Width of a full-frame sensor in millimetres, to which 35 mm equivalent focal lengths refer."""


def to_camera(points: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """Head space to camera space.

    Args:
        points: (..., 3) metres, head space.
        translation: (3,) or broadcastable (..., 3), metres, camera space.

    Returns:
        (..., 3) metres, camera space.
    """
    return np.asarray(points) * np.diag(HEAD_TO_CAMERA) + translation


def project(points: np.ndarray, translation: np.ndarray, camera_matrix: np.ndarray) -> np.ndarray:
    """Project points of head space into the full frame with the pinhole model.

    Args:
        points: (..., 3) metres, head space.
        translation: (3,) metres, camera space.
        camera_matrix: (3, 3) K in pixels.

    Returns:
        (..., 2) pixels, origin top left. Points at or behind the camera give values that are not finite or mirrored.
    """
    homogeneous = to_camera(points, translation) @ np.asarray(camera_matrix).T
    return homogeneous[..., :2] / homogeneous[..., 2:]


def weak_project(
    points: np.ndarray, crop_camera: np.ndarray, crop_transform: np.ndarray, crop_size: int = CROP_SIZE
) -> np.ndarray:
    """Project points of head space into the full frame with a crop's weak perspective (DECA, Feng et al. 2021, section
    3).

    Args:
        points: (..., 3) metres, head space, of one frame.
        crop_camera: (3,) s, tx, ty.
        crop_transform: (3, 3) full-frame pixels to crop pixels.
        crop_size: Side of the crop in pixels.

    Returns:
        (..., 2) full-frame pixels.
    """
    scale, offset = crop_camera[0], np.asarray(crop_camera)[1:]
    ndc = scale * (np.asarray(points)[..., :2] + offset) * np.array([1.0, -1.0])
    crop = (ndc + 1.0) * (crop_size / 2)
    homogeneous = np.concatenate([crop, np.ones_like(crop[..., :1])], axis=-1) @ np.linalg.inv(crop_transform).T
    return homogeneous[..., :2] / homogeneous[..., 2:]


def focal_pixels(focal_35mm: float, width: int, height: int) -> float:
    """Focal length in pixels of a 35 mm equivalent one:
    by the longer side over 36 mm, as Blender's automatic sensor fit does.
    """
    return focal_35mm * max(width, height) / SENSOR_WIDTH_35MM


def camera_matrix(focal_px: float, width: float, height: float) -> np.ndarray:
    """K (3, 3) in pixels with the principal point in the middle of the picture."""
    return np.array([[focal_px, 0.0, width / 2], [0.0, focal_px, height / 2], [0.0, 0.0, 1.0]])
