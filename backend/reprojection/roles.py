# SPDX-License-Identifier: GPL-3.0-or-later
"""Which landmarks of an embedding are irises and eye corners."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backend.faces import topology


@dataclass(frozen=True, eq=False)
class Roles:
    """By index into the landmarks."""

    irises: tuple[int, int]
    """centres, left and right"""
    eye_corners: tuple[int, int]
    """the outer ones"""
    compared: np.ndarray
    """those by whose distance a solved head is judged"""


MEDIAPIPE = Roles(
    irises=(topology.LEFT_IRIS_CENTRE, topology.RIGHT_IRIS_CENTRE),
    eye_corners=topology.OUTER_EYE_CORNERS,
    compared=np.setdiff1d(np.arange(topology.LANDMARK_COUNT), list(topology.IRISES)),
)
"""Of MediaPipe's 478."""
