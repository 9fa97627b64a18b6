# SPDX-License-Identifier: GPL-3.0-or-later
"""Closing the mouth: the source's neutral lips stand half a millimetre apart, which shows the teeth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .colours import MATERIALS
from .topology import HeadTopology

_SLIT = -0.0475
"""Height (metres) of the slit between the lips."""
_REACH = 0.003
_SWELL = 0.0005
_CORNER = (0.014, 0.020)
"""Between these distances from the middle the swelling grows by 60 %: the gap is widest beside the corners."""


def close_lips(topology: HeadTopology, materials: NDArray[np.uint8]) -> HeadTopology:
    """Let the inner faces of the lips swell towards each other until they touch.

    Args:
        topology: the head.
        materials: (P,) material of each polygon.
    """
    chosen = np.isin(materials, [MATERIALS.index("lips"), MATERIALS.index("mouth")]) & (topology.parts == "skin")
    inner = np.unique(topology.polygons[chosen])
    inner = inner[inner >= 0]
    points = topology.template[inner]
    weight = np.exp(-(((points[:, 1] - _SLIT) / _REACH) ** 2)) * np.clip((points[:, 2] - 0.075) / 0.01, 0.0, 1.0)
    weight *= 1.0 + 0.6 * np.clip((np.abs(points[:, 0]) - _CORNER[0]) / (_CORNER[1] - _CORNER[0]), 0.0, 1.0)
    moved = topology.template.copy()
    moved[inner, 1] += _SWELL * weight * _normals(topology)[inner, 1]
    return replace(topology, template=0.5 * (moved + topology.mirrored(moved)))


def _normals(topology: HeadTopology) -> NDArray[np.float64]:
    """(V,3) unit normals of the template."""
    polygons, points = topology.polygons, topology.template
    last = np.where(polygons[:, 3] < 0, polygons[:, 2], polygons[:, 3])
    face = np.cross(points[polygons[:, 2]] - points[polygons[:, 0]], points[last] - points[polygons[:, 1]])
    triangles = polygons[:, 3] < 0
    a, b, c = (points[polygons[triangles, k]] for k in range(3))
    face[triangles] = np.cross(b - a, c - a)
    normals = np.zeros_like(points)
    for column in range(4):
        valid = polygons[:, column] >= 0
        np.add.at(normals, polygons[valid, column], face[valid])
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-15)
