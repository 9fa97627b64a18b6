# SPDX-License-Identifier: GPL-3.0-or-later
"""Codes of networks that see a crop: SMIRK, and DECA and EMOCA. FLAME coefficients, and a weak perspective camera."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from blender_addon.contract.head import HeadDescription
from blender_addon.contract.projection import CROP_SIZE, camera_matrix, focal_pixels

from .flame_motion import FlameMotion, Shot
from .flame_space import narrowed, one_shape
from .records import Record, joined, read_records

LONG_FOCAL_MM = 2000.0
"""35 mm equivalent with which weak perspective becomes perspective: from that far, depth hardly shows."""
_ASSUMED_SCALE = 8.0
"""Of the crop's camera, where a file has none: a face that fills its crop."""


@dataclass(frozen=True)
class Layout:
    """The names of arrays in one program's files.

    Attributes:
        names: For each of ours the names that the program gives it.
        required: Those of ours that show that a file is the program's.
    """

    names: Mapping[str, tuple[str, ...]]
    required: tuple[str, ...]

    def fits(self, record: Record) -> bool:
        """Whether a record has what files of the program have."""
        return all(self.find(record, ours) is not None for ours in self.required)

    def find(self, record: Record, ours: str) -> str | None:
        """The name under which a record has one of our arrays."""
        return next((name for name in self.names.get(ours, ()) if name in record.values), None)


SMIRK = Layout(
    MappingProxyType(
        {
            "shape": ("shape_params",),
            "expression": ("expression_params",),
            "head": ("pose_params",),
            "jaw": ("jaw_params",),
            "eyelids": ("eyelid_params",),
            "camera": ("cam",),
        }
    ),
    ("expression", "head", "jaw"),
)
EMOCA = Layout(
    MappingProxyType(
        {
            "shape": ("shape", "shapecode"),
            "expression": ("exp", "expcode"),
            "pose": ("pose", "posecode"),
            "camera": ("cam", "camcode"),
            "detail": ("detail", "detailcode"),
        }
    ),
    ("shape", "expression", "pose"),
)
"""DECA and EMOCA name their codes alike; `pose` is the head's turn and the jaw's."""


def read_codes(path: Path, layout: Layout, head: HeadDescription, shot: Shot) -> FlameMotion:
    """A file with a time axis, a list of frames in one, or a folder with one for each frame.

    The picture is the crop. The weak perspective camera becomes one of perspective with a long focal length, far away.

    Raises:
        MienError: BAD_IMPORT and what reading files raises.
    """
    record = joined(list(read_records(path)), path)
    if not layout.fits(record):
        needed = ", ".join(layout.names[ours][0] for ours in layout.required)
        raise record.refuse(f"has not all of the arrays {needed}")
    found = {ours: name for ours in layout.names if (name := layout.find(record, ours)) is not None}
    frames = record.frames(*found.values())
    part = {ours: record.series(name, frames, _WIDTHS.get(ours)) for ours, name in found.items()}
    if "pose" in part:
        part["head"], part["jaw"] = part["pose"][:, :3], part["pose"][:, 3:]
    shape, notes = one_shape(part.get("shape", np.zeros((1, 1))))
    focal = focal_pixels(shot.asked_focal_mm or LONG_FOCAL_MM, CROP_SIZE, CROP_SIZE)
    camera = part.get("camera", np.tile([_ASSUMED_SCALE, 0.0, 0.0], (frames, 1)))
    if (camera[:, 0] <= 0).any():
        raise record.refuse(f"has a '{found['camera']}' whose scale is not above zero")
    return FlameMotion(
        head_rotation=part["head"],
        translation=place(camera, focal),
        neck=np.zeros((frames, 3)),
        jaw=part["jaw"],
        eyes=np.zeros((frames, 6)),
        identity=narrowed(shape, head.identity.shape[2], "identity", path),
        expression=narrowed(part["expression"], head.expression.shape[2], "expression", path),
        eyelids=part.get("eyelids"),
        crop_camera=camera,
        camera_matrix=camera_matrix(focal, CROP_SIZE, CROP_SIZE),
        image_size=(CROP_SIZE, CROP_SIZE),
        notes=(*_notes(part, head), *notes),
    )


_WIDTHS = {"head": 3, "jaw": 3, "pose": 6, "camera": 3, "eyelids": 2}


def place(crop_camera: np.ndarray, focal: float) -> np.ndarray:
    """(T, 3) metres, camera space: where a perspective camera on the crop sees the head's origin as large.

    Args:
        crop_camera: (T, 3) s, tx, ty.
        focal: Focal length in pixels of the crop.
    """
    scale, x, y = crop_camera.T
    return np.stack((x, -y, focal / (scale * (CROP_SIZE / 2))), axis=1)


def _notes(part: Mapping[str, np.ndarray], head: HeadDescription) -> tuple[str, ...]:
    notes = ["The picture of the take is the network's crop: where that lay in the footage, the file does not say."]
    if "camera" not in part:
        notes.append("The file has no camera; the head is placed so that it fills the crop.")
    if "eyelids" in part and not head.eyelids.shape[2]:
        notes.append("This head has no shapes for the eyelids: they stay in the take, and the mesh does not show them.")
    return tuple(notes)
