# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a head stands before its camera, kept with the head so that later takes of the same camera line up too."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from ..contract.take import Take
from ..rig import names


def origin_of(mesh_object: Any, take: Take) -> np.ndarray:
    """The translation (3,) for which a head stands at its rig's origin: the one that it was placed by when the take is
    of the same camera, else that of the take's first frame.
    """
    placed = mesh_object.get(names.TAKE_TRANSLATION)
    if placed is not None and mesh_object.get(names.CAMERA) == _camera(take):
        return np.array(placed, dtype=np.float64)
    return take.translation[0].astype(np.float64)


def note_origin(mesh_object: Any, take: Take, origin: np.ndarray) -> None:
    """Keep where a head was placed, and by which camera."""
    mesh_object[names.TAKE_TRANSLATION] = [float(value) for value in origin]
    mesh_object[names.CAMERA] = _camera(take)


def _camera(take: Take) -> str:
    """What two takes of one camera have in common."""
    matrix = [float(f"{value:.6g}") for value in take.camera_matrix.ravel()]
    return json.dumps([take.meta.source, take.image_size.tolist(), matrix])
