# SPDX-License-Identifier: GPL-3.0-or-later
"""What readers of FLAME files give: a head over time with its camera, in a take's conventions."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from blender_addon.contract.head import HeadDescription
from blender_addon.contract.projection import CROP_SIZE, focal_pixels

from .flame_space import before_camera, root_joints

ASSUMED_FOCAL_MM = 50.0
"""35 mm equivalent, where nothing tells the focal length."""


@dataclass(frozen=True)
class Shot:
    """What the user says about the pictures.

    Attributes:
        size: Width and height in pixels, None to go by the file.
        asked_focal_mm: 35 mm equivalent focal length, None to go by the file.
    """

    size: tuple[int, int] | None = None
    asked_focal_mm: float | None = None

    @property
    def focal_mm(self) -> float:
        """The focal length that is used where the file tells none."""
        return self.asked_focal_mm or ASSUMED_FOCAL_MM

    def focal_pixels(self, width: int, height: int) -> float:
        """The same in pixels."""
        return focal_pixels(self.focal_mm, width, height)


@dataclass(frozen=True, eq=False)
class FlameMotion:
    """A FLAME head over time, T frames.

    Attributes:
        head_rotation, translation, neck, jaw: (T, 3) axis-angle radians, metres.
        eyes: (T, 6) left, right.
        identity: (S,) of the head.
        expression: (T, E) of the head.
        camera_matrix: (3, 3) pixels.
        image_size: Width, height.
        eyelids: (T, 2) left, right, None where the file has none.
        crop_camera: (T, 3) weak perspective in the crop that is the picture, None where the file has none.
        time: (T,) seconds, None where the file has none.
        valid: (T,) bool, None for all.
        frame: (T,) the source's numbers, None for 1, 2, ...
        notes: What is assumed or left out, as sentences for the user.
    """

    head_rotation: np.ndarray
    translation: np.ndarray
    neck: np.ndarray
    jaw: np.ndarray
    eyes: np.ndarray
    identity: np.ndarray
    expression: np.ndarray
    camera_matrix: np.ndarray
    image_size: tuple[int, int]
    eyelids: np.ndarray | None = None
    crop_camera: np.ndarray | None = None
    time: np.ndarray | None = None
    valid: np.ndarray | None = None
    frame: np.ndarray | None = None
    notes: tuple[str, ...] = ()

    def moved(self, head: HeadDescription, turn: np.ndarray, shift: np.ndarray) -> FlameMotion:
        """The same head, placed in a world so far, before the camera at `turn @ world + shift` (OpenCV's axes)."""
        root = root_joints(head, self.identity, self.expression)
        rotation, translation = before_camera(self.head_rotation, self.translation, root, turn, shift)
        return replace(self, head_rotation=rotation, translation=translation)


def whole_picture_crop(
    camera_matrix: np.ndarray, size: tuple[int, int], translation: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The weak perspective of a head in a crop that is the whole picture, scaled by its longer side.

    Returns:
        `crop_camera` (T, 3) and `crop_transform` (T, 3, 3) of a take.
    """
    side = max(size)
    x, y, depth = translation.T.astype(np.float64)
    focal, centre = camera_matrix[0, 0], camera_matrix[:2, 2] - side / 2
    per_pixel = depth / focal
    camera = np.stack((2 / (side * per_pixel), x + centre[0] * per_pixel, -y - centre[1] * per_pixel), axis=1)
    transform = np.diag([CROP_SIZE / side, CROP_SIZE / side, 1.0])
    return camera, np.tile(transform, (len(translation), 1, 1))
