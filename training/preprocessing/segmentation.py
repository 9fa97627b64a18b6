# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the face is in a crop, from MediaPipe's landmarks, with the labels that BiSeNet's face parsing has.

Nothing that covers the face is seen by it: hair over the forehead, glasses and hands count as skin. Segmentations of a
network that users have are read in its place (`training.datasets.prepared`).
"""

from __future__ import annotations

import cv2
import numpy as np

from backend.faces import topology
from blender_addon.contract.projection import CROP_SIZE

_SKIN, _LEFT_BROW, _RIGHT_BROW, _LEFT_EYE, _RIGHT_EYE, _MOUTH, _UPPER_LIP, _LOWER_LIP = 1, 2, 3, 4, 5, 11, 12, 13
_SUBPIXEL_BITS = 4


def face_labels(landmarks: np.ndarray) -> np.ndarray:
    """(224, 224) uint8 labels: 0 background, 1 skin, 2-3 brows, 4-5 eyes (the person's left, right), 11 inside of the
    mouth, 12-13 lips.

    Args:
        landmarks: (478, >=2) crop pixels, centres at +0.5.
    """
    points = landmarks[:, :2]
    labels = np.zeros((CROP_SIZE, CROP_SIZE), np.uint8)
    for label, chain in _parts():
        # OpenCV has pixel centres at whole numbers; the coordinates are in sixteenths.
        corners = ((points[chain] - 0.5) * (1 << _SUBPIXEL_BITS)).round().astype(np.int32)
        cv2.fillPoly(labels, [corners], label, shift=_SUBPIXEL_BITS)
    return labels


def _parts() -> list[tuple[int, np.ndarray]]:
    """Labels and closed chains of landmarks, later ones over earlier ones."""
    outer, inner = topology.LIPS_OUTER, topology.LIPS_INNER
    upper = np.concatenate((outer[:11], inner[10::-1]))
    lower = np.concatenate((outer[10:], outer[:1], inner[:1], inner[:9:-1]))
    return [
        (_SKIN, topology.FACE_OVAL),
        (_LEFT_BROW, _brow(topology.LEFT_BROW)),
        (_RIGHT_BROW, _brow(topology.RIGHT_BROW)),
        (_LEFT_EYE, _eye(topology.LEFT_LID_UPPER, topology.LEFT_LID_LOWER)),
        (_RIGHT_EYE, _eye(topology.RIGHT_LID_UPPER, topology.RIGHT_LID_LOWER)),
        (_UPPER_LIP, upper),
        (_LOWER_LIP, lower),
        (_MOUTH, inner),
    ]


def _brow(chain: np.ndarray) -> np.ndarray:
    return np.concatenate((chain[:5], chain[:4:-1]))


def _eye(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    return np.concatenate((upper, lower[-2:0:-1]))
