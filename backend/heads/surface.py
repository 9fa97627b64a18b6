# SPDX-License-Identifier: GPL-3.0-or-later
"""Points on a triangle mesh: the nearest point of the surface and its barycentric coordinates."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

AVERSION = 0.004
"""Metres."""
NEIGHBOURS = 48
"""Triangles, nearest by centre, among which the nearest one is sought; ample on meshes with even triangles."""


def nearest_on_surface(
    points: np.ndarray,
    vertices: np.ndarray,
    faces: np.ndarray,
    allowed: np.ndarray,
    normals: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Nearest surface points among the allowed triangles (Ericson, Real-Time Collision Detection, section 5.1.5).

    Args:
        points: (N,3)
        vertices: (V,3)
        faces: (F,3)
        allowed: (F,) bool
        normals: (N,3) unit normals at the points: then a triangle that faces elsewhere counts as farther away, by
            `AVERSION` for a right angle, so that lips that touch are told apart.

    Returns:
        Triangle indices (N,) and barycentric weights (N,3).
    """
    candidates = np.flatnonzero(allowed)
    corners = vertices[faces[candidates]]
    _, near = cKDTree(corners.mean(axis=1)).query(points, k=min(NEIGHBOURS, len(candidates)))
    near = near.reshape(len(points), -1)
    weights = barycentric_of_nearest(points[:, None], corners[near])
    found = np.einsum("nkc,nkcd->nkd", weights, corners[near])
    distance = np.linalg.norm(found - points[:, None], axis=-1)
    if normals is not None:
        facing = face_normals(vertices, faces)[candidates][near]
        distance = distance + AVERSION * (1 - np.einsum("nkd,nd->nk", facing, normals))
    best = distance.argmin(axis=1)
    rows = np.arange(len(points))
    return candidates[near[rows, best]], weights[rows, best]


def face_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(F,3) unit normals of triangles; zero where one has no area."""
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    normals = np.cross(b - a, c - a)
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(V,3) unit normals, the triangles' weighted by their areas; zero at vertices without any."""
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    across = np.cross(b - a, c - a)
    summed = np.zeros(vertices.shape)
    for corner in range(3):
        np.add.at(summed, faces[:, corner], across)
    return summed / np.maximum(np.linalg.norm(summed, axis=1, keepdims=True), 1e-12)


def barycentric_of_nearest(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """(...,3) weights of the nearest point of each triangle (...,3,3): inside, or on the nearest edge."""
    a, b, c = corners[..., 0, :], corners[..., 1, :], corners[..., 2, :]
    normal = np.cross(b - a, c - a)
    area = np.maximum((normal**2).sum(axis=-1, keepdims=True), 1e-24)
    inside = np.stack(
        [
            (np.cross(c - b, points - b) * normal).sum(axis=-1),
            (np.cross(a - c, points - c) * normal).sum(axis=-1),
            (np.cross(b - a, points - a) * normal).sum(axis=-1),
        ],
        axis=-1,
    )
    inside = inside / area
    options = [inside]
    for first, second in ((0, 1), (1, 2), (2, 0)):
        start, end = corners[..., first, :], corners[..., second, :]
        edge = end - start
        along = ((points - start) * edge).sum(axis=-1) / np.maximum((edge**2).sum(axis=-1), 1e-24)
        along = np.clip(along, 0, 1)
        weights = np.zeros(inside.shape)
        weights[..., first], weights[..., second] = 1 - along, along
        options.append(weights)
    stacked = np.stack(options, axis=-2)
    distance = np.linalg.norm(stacked @ corners - points[..., None, :], axis=-1)
    distance[..., 0] = np.where((inside >= 0).all(axis=-1), distance[..., 0], np.inf)
    return np.take_along_axis(stacked, distance.argmin(axis=-1)[..., None, None], axis=-2)[..., 0, :]
