# SPDX-License-Identifier: GPL-3.0-or-later
"""FLAME parameters as VHAP tracks them (`tracked_flame_params.npz`).

FLAME lies in a world in metres, x to the person's left, y up; the camera stands 1 m in front of its origin on +z and
looks back along z. The focal length is told by the longer side of the picture.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import write_npz
from blender_addon.contract.head import HeadDescription
from blender_addon.contract.projection import HEAD_TO_CAMERA, camera_matrix
from blender_addon.contract.provenance import PROVENANCE, provenance
from blender_addon.contract.take import Take

from .flame_motion import FlameMotion, Shot
from .flame_space import EXPRESSION, IDENTITY, narrowed, one_shape, widened
from .records import Record

CAMERA_PLACE = np.array([0.0, 0.0, 1.0])
"""Where the camera stands in the world, metres."""
VERTICES = 5143
"""Of FLAME with the teeth that VHAP adds."""

OFFSETS = ("static_offset", "dynamic_offset")
"""Arrays that move vertices one by one."""
_ABOUT_EQUAL = 1e-3


def require_flame(take: Take) -> None:
    """Make sure that a take is on a FLAME head.

    Raises:
        MienError: CANNOT_EXPORT.
    """
    wide = take.identity.shape[0] > IDENTITY or take.expression.shape[1] > EXPRESSION
    if not take.meta.head_id.startswith("flame") or wide:
        message = (
            f"The take of {take.meta.source} is on the head '{take.meta.head_id}', and this format is FLAME's: the "
            "coefficients of one head mean nothing on another."
        )
        remedy = "Capture the source with a FLAME head, or export to a format of meshes or of ARKit's channels."
        raise MienError(ErrorCode.CANNOT_EXPORT, message, remedy, {"cause": "head"})


def require_vhap(take: Take) -> None:
    """Make sure that a take can be told as VHAP does: FLAME, and a camera that looks through the picture's middle.

    Raises:
        MienError: CANNOT_EXPORT.
    """
    require_flame(take)
    matrix, (width, height) = take.camera_matrix, take.image_size
    off = np.abs(matrix[:2, 2] - (width / 2, height / 2)).max() / max(width, height)
    if off > _ABOUT_EQUAL or abs(matrix[0, 0] / matrix[1, 1] - 1) > _ABOUT_EQUAL:
        message = f"The camera of the take of {take.meta.source} looks past the middle, which VHAP's files cannot say."
        raise MienError(ErrorCode.CANNOT_EXPORT, message, "Export to gaussian-avatars.", {"cause": "camera"})


def flame_arrays(take: Take) -> dict[str, np.ndarray]:
    """The arrays that VHAP's and GaussianAvatars' files share, float32, T frames.

    Returns:
        `rotation`, `translation`, `neck_pose`, `jaw_pose` (T, 3), `eyes_pose` (T, 6), `shape` (300,), `expr` (T, 100),
        `static_offset` (1, 5143, 3) of zeros.
    """
    arrays = {
        "rotation": take.head_rotation,
        "translation": take.translation @ HEAD_TO_CAMERA + CAMERA_PLACE,
        "neck_pose": take.neck,
        "jaw_pose": take.jaw,
        "eyes_pose": take.eyes,
        "shape": widened(take.identity, IDENTITY),
        "expr": widened(take.expression, EXPRESSION),
        "static_offset": np.zeros((1, VERTICES, 3)),
    }
    return {name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()}


def write_vhap(take: Take, path: Path) -> None:
    """Write a take on a FLAME head.

    Besides VHAP's arrays there are `time` (T,) float64 seconds, `valid` (T,) and `mien`, a JSON text that says where
    the take comes from.

    Raises:
        MienError: CANNOT_EXPORT, NO_SPACE, NOT_PERMITTED, MISSING_FILE.
    """
    require_vhap(take)
    width, height = take.image_size.tolist()
    arrays = flame_arrays(take) | {
        "timestep_id": np.array([f"{index:05d}" for index in range(len(take))]),
        "n_processed_frames": np.array(len(take)),
        "focal_length": np.array([take.camera_matrix[0, 0] / max(width, height)], np.float32),
        "image_size": np.array([height, width]),
        "time": take.time,
        "valid": take.valid,
        PROVENANCE: np.array(json.dumps(provenance(take.meta))),
    }
    write_npz(path, arrays)


def read_vhap(record: Record, head: HeadDescription, shot: Shot) -> FlameMotion:
    """A file of VHAP's, or one set of GaussianAvatars' parameters, in a take's terms.

    Args:
        record: The file's arrays.
        head: The FLAME head that the coefficients are for.
        shot: Size of the picture and focal length, where the file does not say.

    Raises:
        MienError: BAD_IMPORT for missing arrays, shapes that contradict each other, coefficients that the head lacks,
            and a picture whose size nobody knows.
    """
    frames = record.frames("rotation", "translation", "expr")
    arrays, notes = read_flame_arrays(record, head, frames)
    size = record.optional("image_size", 2)
    if size is None and shot.size is None:
        raise record.refuse("does not say how large the picture is", "Give its size with --size WIDTHxHEIGHT.")
    width, height = shot.size or (int(size[0, 1]), int(size[0, 0]))  # what the user says goes before
    focal = record.optional("focal_length", 1) if shot.asked_focal_mm is None else None
    if focal is None and shot.asked_focal_mm is None:
        notes.append(f"The file tells no focal length; it is taken as {shot.focal_mm:g} mm (--focal).")
    pixels = float(focal[0, 0]) * max(width, height) if focal is not None else shot.focal_pixels(width, height)
    time, valid = record.optional("time", None), record.optional("valid", None)
    return FlameMotion(
        **arrays,
        camera_matrix=camera_matrix(pixels, width, height),
        image_size=(width, height),
        time=None if time is None else time.ravel(),
        valid=None if valid is None else valid.ravel() > 0.5,
        notes=tuple(notes),
    ).moved(head, HEAD_TO_CAMERA, -HEAD_TO_CAMERA @ CAMERA_PLACE)


def read_flame_arrays(record: Record, head: HeadDescription, frames: int) -> tuple[dict[str, np.ndarray], list[str]]:
    """What VHAP's and GaussianAvatars' files share, in the world of the file; and what is lost.

    Raises:
        MienError: BAD_IMPORT.
    """
    expression = record.series("expr", frames)
    shape, notes = one_shape(record.series("shape", frames))
    arrays = {
        "head_rotation": record.series("rotation", frames, 3),
        "translation": record.series("translation", frames, 3),
        "neck": record.series("neck_pose", frames, 3),
        "jaw": record.series("jaw_pose", frames, 3),
        "eyes": record.series("eyes_pose", frames, 6),
        "identity": narrowed(shape, head.identity.shape[2], "identity", record.path),
        "expression": narrowed(expression, head.expression.shape[2], "expression", record.path),
    }
    moved = [name for name in OFFSETS if np.any(record.values.get(name, 0))]
    return arrays, [*notes, *(f"'{name}' moves single vertices, which takes cannot; it is left out." for name in moved)]
