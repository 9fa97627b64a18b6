# SPDX-License-Identifier: GPL-3.0-or-later
"""The motion of head, neck, jaw and eyes as a plain table, with the camera, for any head."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from blender_addon.contract.take import Take

from .tables import exactly, lines, read_table, write_table

ORDER = "YXZ"
"""Axes of the angles: R = Ry Rx Rz, so the turn about z is done first and the one about y last."""
PARTS = ("head", "neck", "jaw", "left_eye", "right_eye")
_PLACE = ("place_x_m", "place_y_m", "place_z_m")
_ANGLES = tuple(f"{part}_{axis}_deg" for part in PARTS for axis in "xyz")
_CAMERA = ("focal_x_px", "focal_y_px", "centre_x_px", "centre_y_px", "width_px", "height_px")
HEADER = ("time", "frame", "valid", "confidence", *_PLACE, *_ANGLES, *_CAMERA)
_DECIMALS = 7


@dataclass(frozen=True, eq=False)
class Motion:
    """What the table tells.

    Attributes:
        time: (T,) float64 seconds.
        frame: (T,) int64 the source's number of each frame.
        valid: (T,) bool, False where no face was seen.
        confidence: (T,) float64, 0 to 1.
        place: (T, 3) float64 metres, the take's `translation`: camera space, x right, y down, z forward.
        rotations: (T, 5, 3) float64 axis-angle radians of `PARTS`, in head space.
        camera: (6,) float64 pixels: focal length in x and y, centre x and y, width, height.
    """

    time: np.ndarray
    frame: np.ndarray
    valid: np.ndarray
    confidence: np.ndarray
    place: np.ndarray
    rotations: np.ndarray
    camera: np.ndarray


def motion_of(take: Take) -> Motion:
    """The motion of a take."""
    eyes = take.eyes.reshape(-1, 2, 3)
    turns = np.stack((take.head_rotation, take.neck, take.jaw, eyes[:, 0], eyes[:, 1]), axis=1)
    matrix = take.camera_matrix
    camera = np.array([matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2], *take.image_size])
    frame = take.extra.get("frame", np.arange(1, len(take) + 1)).astype(np.int64)
    place = take.translation.astype(np.float64)
    return Motion(take.time, frame, take.valid, take.confidence, place, turns.astype(np.float64), camera)


def write_motion(take: Take, path: Path) -> None:
    """Write a line for each frame.

    Raises:
        MienError: NO_SPACE, NOT_PERMITTED, MISSING_FILE.
    """
    motion = motion_of(take)
    camera = np.broadcast_to(motion.camera, (len(take), len(motion.camera)))
    numbers = lines(
        np.concatenate((motion.confidence[:, None], motion.place, _degrees(motion.rotations), camera), axis=1),
        _DECIMALS,
    )
    starts = zip(exactly(motion.time), motion.frame.tolist(), motion.valid, numbers, strict=True)
    write_table(path, HEADER, (f"{time},{frame},{valid:d},{row}" for time, frame, valid, row in starts))


def read_motion(path: Path) -> Motion:
    """Inverse of `write_motion`, by the names of the columns.

    Raises:
        MienError: BAD_IMPORT, MISSING_FILE, NOT_PERMITTED, TOO_LARGE.
    """
    table = read_table(path)
    time, frame, valid, confidence = table.numbers(HEADER[:4]).T
    degrees = table.numbers(_ANGLES).reshape(-1, len(PARTS), 3)
    return Motion(
        time,
        frame.astype(np.int64),
        valid > 0.5,
        confidence,
        table.numbers(_PLACE),
        _axis_angles(degrees),
        table.numbers(_CAMERA)[0],
    )


def _degrees(rotations: np.ndarray) -> np.ndarray:
    """(T, 15) degrees about x, y, z of each part; no jumps by a whole turn from frame to frame."""
    turns = Rotation.from_rotvec(rotations.reshape(-1, 3)).as_euler(ORDER, degrees=True)
    return np.unwrap(turns[:, [1, 0, 2]].reshape(len(rotations), -1), period=360, axis=0)


def _axis_angles(degrees: np.ndarray) -> np.ndarray:
    """(T, 5, 3) radians; inverse of `_degrees`."""
    turns = Rotation.from_euler(ORDER, degrees.reshape(-1, 3)[:, [1, 0, 2]], degrees=True)
    return turns.as_rotvec().reshape(degrees.shape)
