# SPDX-License-Identifier: GPL-3.0-or-later
"""Nearest points of a surface that face the same way and move with the same bone: an upper lip never meets a lower."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from backend.heads.surface import barycentric_of_nearest, face_normals

NORMAL_REACH = 0.006
"""Metres that a difference of 1 between unit normals counts as."""
JAW_REACH = 0.012
"""Metres that a difference of 1 between the jaw's skinning weights counts as; it tells the lips apart."""
CANDIDATES = 12
"""Triangles, nearest by centre, normal and jaw weight, among which the nearest point is sought."""


@dataclass(frozen=True, eq=False)
class SurfacePoints:
    """N points with what makes them alike.

    Attributes:
        places: (N,3) metres.
        normals: (N,3) unit.
        jaw: (N,) the jaw's skinning weight.
    """

    places: np.ndarray
    normals: np.ndarray
    jaw: np.ndarray

    def some(self, chosen: np.ndarray) -> SurfacePoints:
        """The chosen ones (N,) bool."""
        return SurfacePoints(self.places[chosen], self.normals[chosen], self.jaw[chosen])


class Surface:
    """Triangles to which points find their counterparts.

    Args:
        vertices: (V,3) metres.
        faces: (F,3) the triangles.
        jaw: (V,) the jaw's skinning weight.
    """

    def __init__(self, vertices: np.ndarray, faces: np.ndarray, jaw: np.ndarray) -> None:
        self.faces, self.jaw = faces, jaw
        self.corners = vertices[faces]
        self.normals = face_normals(vertices, faces)
        self._corner_jaw = jaw[faces]
        centres = SurfacePoints(self.corners.mean(axis=1), self.normals, self._corner_jaw.mean(axis=1))
        self._tree = cKDTree(_features(centres))

    def nearest(self, points: SurfacePoints) -> tuple[np.ndarray, np.ndarray]:
        """Triangles (N,) and barycentric weights (N,3) of the counterparts."""
        _, near = self._tree.query(_features(points), k=min(CANDIDATES, len(self.faces)))
        near = near.reshape(len(points.places), -1)
        corners = self.corners[near]
        weights = barycentric_of_nearest(points.places[:, None], corners)
        apart = np.einsum("nkc,nkcd->nkd", weights, corners) - points.places[:, None]
        cost = (apart**2).sum(axis=-1)
        cost += NORMAL_REACH**2 * ((self.normals[near] - points.normals[:, None]) ** 2).sum(axis=-1)
        jaw = (weights * self._corner_jaw[near]).sum(axis=-1)
        cost += JAW_REACH**2 * (jaw - points.jaw[:, None]) ** 2
        rows, best = np.arange(len(near)), cost.argmin(axis=1)
        return near[rows, best], weights[rows, best]

    def at(self, triangles: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """(N,3) places of points by triangles (N,) and weights (N,3)."""
        return np.einsum("nc,ncd->nd", weights, self.corners[triangles])

    def rim(self) -> np.ndarray:
        """(F,) bool: triangles at the edge of the surface, past which a counterpart may be missing."""
        edges = np.sort(self.faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
        _, which, count = np.unique(edges, axis=0, return_inverse=True, return_counts=True)
        return (count[which.reshape(-1)] == 1).reshape(-1, 3).any(axis=1)


def _features(points: SurfacePoints) -> np.ndarray:
    return np.concatenate([points.places, NORMAL_REACH * points.normals, JAW_REACH * points.jaw[:, None]], axis=1)
