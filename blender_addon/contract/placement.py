# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the middle of a face is in the picture and how far away, apart from how the head is turned.

A fit knows the place in the picture well, the distance badly, and what it gets wrong about the turn it makes good by
the translation. Filters work on place and distance, so that noise of the turn does not pass into the place, nor that of
the distance into the picture.
"""

from __future__ import annotations

import numpy as np

from . import rotations
from .projection import HEAD_TO_CAMERA

FACE = np.array([0.0, 0.14, 0.10])
"""Middle of the face from the root joint, metres, head space; measured: the point that a fit's noise moves least."""
FACE.flags.writeable = False


def face_place(head_rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """Place of the face as the camera sees it.

    Args:
        head_rotation: (..., 3) axis-angle radians, head space.
        translation: (..., 3) metres, camera space.

    Returns:
        (..., 3): x / z, y / z, and the logarithm of z in metres; the last is not finite for a face behind the camera.
    """
    face = translation + _face(head_rotation)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.concatenate((face[..., :2] / face[..., 2:], np.log(face[..., 2:])), axis=-1)


def translation_to(place: np.ndarray, head_rotation: np.ndarray) -> np.ndarray:
    """Inverse of `face_place`: (..., 3) the translation, metres, camera space."""
    depth = np.exp(place[..., 2:])
    return np.concatenate((place[..., :2] * depth, depth), axis=-1) - _face(head_rotation)


def _face(head_rotation: np.ndarray) -> np.ndarray:
    return rotations.rotate(rotations.to_quaternions(head_rotation), FACE) @ HEAD_TO_CAMERA
