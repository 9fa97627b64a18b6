# SPDX-License-Identifier: GPL-3.0-or-later
"""The only place that converts axes, bone orientations and cameras between head space and Blender.

Head space: metres, x to the person's left, y up, z out of the face. Blender: metres, z up, the face looks towards -y.
A head point (x, y, z) is (x, -z, y) in Blender. Camera space is OpenCV's, see `contract.projection`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .contract.projection import HEAD_TO_CAMERA, SENSOR_WIDTH_35MM

HEAD_TO_BLENDER = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
HEAD_TO_BLENDER.flags.writeable = False

_UPRIGHT = np.eye(3)
_FORWARD = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])

HEAD_TO_BONE: Mapping[str, np.ndarray] = {
    "root": _UPRIGHT,
    "neck": _UPRIGHT,
    "jaw": _FORWARD,
    "eye.L": _FORWARD,
    "eye.R": _FORWARD,
}
"""For each joint the rotation (3, 3) from head axes to the bone's own; its rows are the bone's x, y, z in head space.

All bones have the head's x axis, so a positive x rotation opens the jaw, looks down and nods. Root and neck point up,
jaw and eyes point out of the face. Each is a signed permutation, so that drivers need one entry of a rotation matrix.
"""

CAMERA_ROTATION = HEAD_TO_BLENDER
"""Columns are the axes, in Blender, of a camera (x right, y up, looking along -z) that sees the head level."""


def to_blender(points: np.ndarray) -> np.ndarray:
    """Points or directions of head space in Blender, (..., 3), metres; keeps the dtype."""
    points = np.asarray(points)
    return np.stack((points[..., 0], -points[..., 2], points[..., 1]), axis=-1)


def to_head(points: np.ndarray) -> np.ndarray:
    """Points or directions of Blender in head space, (..., 3), metres; keeps the dtype."""
    points = np.asarray(points)
    return np.stack((points[..., 0], points[..., 2], -points[..., 1]), axis=-1)


def to_bone(joint: str, vectors: np.ndarray) -> np.ndarray:
    """Directions or axis-angle rotations of head space in a bone's own axes, (..., 3)."""
    return np.asarray(vectors, dtype=np.float64) @ HEAD_TO_BONE[joint].T


def bone_axes(joint: str) -> np.ndarray:
    """Rest orientation (3, 3) of a bone in the armature: its columns are the bone's x, y, z in Blender axes."""
    return HEAD_TO_BLENDER @ HEAD_TO_BONE[joint].T


def bone_entry(joint: str, row: int, column: int) -> tuple[float, int, int]:
    """Where an entry of a joint's head-space rotation matrix is found in the bone's local one.

    Args:
        joint: Name of the joint.
        row: Row of the head-space matrix.
        column: Column of the head-space matrix.

    Returns:
        sign, row, column with `R_head[row, column] = sign * R_bone[row', column']`.
    """
    basis = HEAD_TO_BONE[joint]
    local_row = int(np.abs(basis[:, row]).argmax())
    local_column = int(np.abs(basis[:, column]).argmax())
    return float(basis[local_row, row] * basis[local_column, column]), local_row, local_column


Facing = Literal["-Y", "Y", "Z"]
"""Where a character's face looks in its armature's own axes: -Y as Blender has it, Y the other way round, Z where y is
up, as files of other programs leave it."""
FACINGS: Mapping[Facing, np.ndarray] = {
    "-Y": HEAD_TO_BLENDER,
    "Y": np.diag([-1.0, -1.0, 1.0]) @ HEAD_TO_BLENDER,
    "Z": np.eye(3),
}
"""Rotations (3, 3) from head axes to those of an armature."""


def rest_basis(rest: np.ndarray, facing: Facing) -> np.ndarray:
    """Rotation (3, 3) from head axes to a bone's own, for any bone.

    Args:
        rest: (3, 3) rest orientation of the bone in its armature, its columns are the bone's x, y, z.
        facing: Where the face looks in the armature.
    """
    return np.asarray(rest, dtype=np.float64).T @ FACINGS[facing]


def to_rest(basis: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Directions or axis-angle rotations of head space (..., 3) in the axes that `rest_basis` leads to."""
    return np.asarray(vectors, dtype=np.float64) @ basis.T


def turns_to_rest(basis: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Unit quaternions (..., 4) of head space in the axes that `rest_basis` leads to."""
    return np.concatenate((unit[..., :1], to_rest(basis, unit[..., 1:])), axis=-1)


def quaternions(axis_angle: np.ndarray) -> np.ndarray:
    """Unit quaternions (..., 4) in Blender's order w, x, y, z of rotations (..., 3) given as axis-angle in radians."""
    vectors = np.asarray(axis_angle, dtype=np.float64)
    half = 0.5 * np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.concatenate((np.cos(half), 0.5 * np.sinc(half / np.pi) * vectors), axis=-1)


def rotation_matrices(axis_angle: np.ndarray) -> np.ndarray:
    """Rotation matrices (..., 3, 3) of rotations (..., 3) given as axis-angle in radians."""
    return matrices(quaternions(axis_angle))


def matrices(unit: np.ndarray) -> np.ndarray:
    """Rotation matrices (..., 3, 3) of unit quaternions (..., 4) w, x, y, z."""
    w, x, y, z = np.moveaxis(np.asarray(unit, dtype=np.float64), -1, 0)
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)),
        (2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)),
        (2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)),
    )
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def camera_location(translation: np.ndarray) -> np.ndarray:
    """Where the camera stands in Blender (..., 3), for a head at the origin with this translation (..., 3)."""
    return to_blender(-np.asarray(translation, dtype=np.float64) @ HEAD_TO_CAMERA)


def head_offset(translation: np.ndarray, origin: np.ndarray) -> np.ndarray:
    """How far a head with `translation` stands from one with `origin` before the same camera, in Blender (..., 3)."""
    return camera_location(origin) - camera_location(translation)


@dataclass(frozen=True)
class Lens:
    """A Blender camera's settings for one image size.

    Attributes:
        focal: Focal length in millimetres; with the 36 mm sensor along the longer side it is the 35 mm equivalent.
        sensor: Sensor size in millimetres along the fitted side.
        sensor_fit: The longer side of the image.
        shift: Lens shift x, y in units of the fitted side.
        pixel_aspect: Width and height of a pixel, the smaller one 1.
    """

    focal: float
    sensor: float
    sensor_fit: Literal["HORIZONTAL", "VERTICAL"]
    shift: tuple[float, float]
    pixel_aspect: tuple[float, float]


def lens(camera_matrix: np.ndarray, image_size: tuple[int, int]) -> Lens:
    """Settings that make a Blender camera project as a pinhole camera does.

    Args:
        camera_matrix: (3, 3) K in pixels, origin top left, pixel centres at +0.5, no skew.
        image_size: Width, height in pixels; the render must have the same.
    """
    width, height = (float(side) for side in image_size)
    (fx, _, cx), (_, fy, cy), _ = np.asarray(camera_matrix, dtype=np.float64).tolist()
    tall = fx / fy  # height of a pixel in its widths
    horizontal = width >= height
    side = width if horizontal else height * tall  # in pixel widths, the unit of Blender's shift
    return Lens(
        focal=fx * SENSOR_WIDTH_35MM / side,
        sensor=SENSOR_WIDTH_35MM,
        sensor_fit="HORIZONTAL" if horizontal else "VERTICAL",
        shift=((0.5 * width - cx) / side, (cy - 0.5 * height) * tall / side),
        pixel_aspect=(max(1.0, 1.0 / tall), max(1.0, tall)),
    )
