# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known about one face in one picture."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from backend.faces import topology

SPREAD_SCALE = 0.06
"""Spread at which the confidence has fallen to 1/e; over well-lit frontal faces it is about 0.01."""
SIDEWAYS = 0.5
"""Frontalness (cosine) under which the confidence falls: the landmarks are trustworthy up to about 60 degrees."""


@dataclass(frozen=True)
class Face:
    """One face in one picture.

    Attributes:
        box: (4,) x0, y0, x1, y1 in full-frame pixels: the bounds of the landmarks.
        landmarks: (478,3) full-frame pixels, origin top left, pixel centres at +0.5; z in the scale of x, smaller is
            nearer the camera (MediaPipe's), zero about the head's centre.
        blendshapes: (52,) float32 scores in [0,1] in the order of `topology.BLENDSHAPE_NAMES`.
        presence: Confidence in [0,1], see `presence`.
        spread: Standard deviation of the landmarks over slightly moved crops, as a fraction of the outer-eye distance.
    """

    box: np.ndarray
    landmarks: np.ndarray
    blendshapes: np.ndarray
    presence: float
    spread: float


def bounds(landmarks: np.ndarray) -> np.ndarray:
    """(4,) x0, y0, x1, y1 of landmarks (N,>=2)."""
    points = landmarks[:, :2]
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def upright_axes(right_eye: np.ndarray, left_eye: np.ndarray, mouth: np.ndarray) -> float:
    """Roll of a face in the picture: the angle of its left-right axis, in radians, clockwise on screen.

    The eye line alone is short in a profile, so the line from the eyes to the mouth, turned by 90 degrees, is added.
    """
    across = left_eye[:2] - right_eye[:2]
    down = mouth[:2] - (left_eye[:2] + right_eye[:2]) / 2
    return math.atan2(across[1] - down[0], across[0] + down[1])


def roll(landmarks: np.ndarray) -> float:
    """Roll of the face with these (478,3) landmarks, see `upright_axes`."""
    right_eye = landmarks[[topology.RIGHT_EYE_OUTER, topology.RIGHT_EYE_INNER]].mean(axis=0)
    left_eye = landmarks[[topology.LEFT_EYE_OUTER, topology.LEFT_EYE_INNER]].mean(axis=0)
    return upright_axes(right_eye, left_eye, landmarks[list(topology.MOUTH_CORNERS)].mean(axis=0))


def frontalness(landmarks: np.ndarray) -> float:
    """Cosine of the angle between the face's plane (eyes and mouth) and the picture, from (478,3) landmarks with z."""
    across = landmarks[topology.LEFT_EYE_OUTER] - landmarks[topology.RIGHT_EYE_OUTER]
    eyes = landmarks[list(topology.OUTER_EYE_CORNERS)].mean(axis=0)
    down = landmarks[list(topology.MOUTH_CORNERS)].mean(axis=0) - eyes
    normal = np.cross(across, down)
    return float(max(0.0, normal[2]) / max(np.linalg.norm(normal), 1e-9))


def presence(score: float, agreement: float, spread: float, facing: float) -> float:
    """Confidence that this is a face and that its landmarks are right.

    `score * agreement * exp(-(spread / SPREAD_SCALE)^2) * min(1, facing / SIDEWAYS)`

    Args:
        score: Mean detector score of the face's upright crops, [0,1].
        agreement: Share of the crops in which the landmarker found this face and agreed with the others, [0,1].
        spread: See `Face.spread`.
        facing: See `frontalness`.

    Returns:
        A number in [0,1].
    """
    steadiness = math.exp(-((spread / SPREAD_SCALE) ** 2))
    return float(np.clip(score * agreement * steadiness * min(1.0, facing / SIDEWAYS), 0.0, 1.0))
