# SPDX-License-Identifier: GPL-3.0-or-later
"""Procedural eyeballs: spheres with a slight corneal bulge whose rings separate pupil, iris and sclera."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SEGMENTS = 18
RING_ANGLES = (3.8, 7.2, 8.2, 12.0, 16.5, 20.8, 22.6, 27.0, 34.0, 44.0, 58.0, 74.0, 90.0, 112.0, 138.0, 160.0)
"""Degrees from the optical axis (z); the poles are extra vertices."""
PUPIL_ANGLE = 7.2
IRIS_ANGLE = 22.0
BULGE_ANGLE = 24.0
BULGE_HEIGHT = 0.022
"""Corneal height over the sphere as a fraction of the radius (the limit is what a closed lid covers)."""


@dataclass(frozen=True)
class EyeMesh:
    """An eyeball of radius 1 about the origin looking along +z.

    Attributes:
        vertices: (n,3): front pole, rings from front to back, back pole.
        polygons: (p,4), -1 in the last column for a triangle.
        angles: (n,) degrees of a vertex from the optical axis.
    """

    vertices: NDArray[np.float64]
    polygons: NDArray[np.int64]
    angles: NDArray[np.float64]


def eye_mesh() -> EyeMesh:
    """Build the unit eyeball (mirror-symmetric in x and y)."""
    angles = np.concatenate([[0.0], np.repeat(RING_ANGLES, SEGMENTS), [180.0]])
    turn = np.concatenate([[0.0], np.tile(np.arange(SEGMENTS) * (2 * np.pi / SEGMENTS), len(RING_ANGLES)), [0.0]])
    polar = np.radians(angles)
    # np.sin(pi) is not quite zero; the poles must lie on the axis for the mirror symmetry to be exact.
    across = np.where((angles == 0) | (angles == 180), 0.0, np.sin(polar))
    sphere = np.stack([across * np.cos(turn), across * np.sin(turn), np.cos(polar)], axis=1)
    bump = np.clip(1.0 - (angles / BULGE_ANGLE) ** 2, 0.0, None) ** 2
    return EyeMesh(sphere * (1.0 + BULGE_HEIGHT * bump)[:, None], _polygons(), angles)


def _polygons() -> NDArray[np.int64]:
    """Fans at the poles, quads between the rings; outward orientation."""
    ring = lambda k: 1 + k * SEGMENTS + np.arange(SEGMENTS)  # noqa: E731
    none = np.full(SEGMENTS, -1)
    first, last = ring(0), ring(len(RING_ANGLES) - 1)
    parts = [np.stack([np.zeros(SEGMENTS, int), first, np.roll(first, -1), none], axis=1)]
    for k in range(len(RING_ANGLES) - 1):
        inner, outer = ring(k), ring(k + 1)
        parts.append(np.stack([inner, outer, np.roll(outer, -1), np.roll(inner, -1)], axis=1))
    parts.append(np.stack([np.full(SEGMENTS, last[-1] + 1), np.roll(last, -1), last, none], axis=1))
    return np.concatenate(parts)


def polygon_materials(mesh: EyeMesh) -> NDArray[np.str_]:
    """Name the material of each polygon of the eyeball: pupil, iris or sclera, by its outermost vertex."""
    corners = np.where(mesh.polygons < 0, mesh.polygons[:, :1], mesh.polygons)
    outermost = mesh.angles[corners].max(axis=1)
    return np.where(outermost <= PUPIL_ANGLE + 0.01, "pupil", np.where(outermost <= IRIS_ANGLE + 1, "iris", "sclera"))


@dataclass(frozen=True)
class EyeFit:
    """How an eyeball follows the base mesh's eyeball: translation and uniform scale, linear in its vertices.

    Attributes:
        sources: (m,) base vertices of the original eyeball.
        centre: (3,) its centre (the mean of its vertices) on the template, metres.
        arms: (m,3) template positions of the original vertices relative to the centre.
        radius: radius of the sphere in metres.
        mesh: the eyeball, already mirrored for the right eye.
    """

    sources: NDArray[np.int64]
    centre: NDArray[np.float64]
    arms: NDArray[np.float64]
    radius: float
    mesh: EyeMesh

    def positions(self) -> NDArray[np.float64]:
        """Template positions of the eyeball's vertices, (n,3) metres."""
        return self.centre + self.radius * self.mesh.vertices

    def offsets(self, base_offsets: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map offsets (N,3) of the base mesh to offsets (n,3) of the eyeball: linear, exact for similarities."""
        moved = base_offsets[self.sources]
        shift = moved.mean(axis=0)
        growth = np.sum(self.arms * (moved - shift)) / np.sum(self.arms**2)
        return shift + growth * self.radius * self.mesh.vertices


def fit_eye(base_vertices: NDArray[np.float64], sources: NDArray[np.int64], mesh: EyeMesh) -> EyeFit:
    """Seat an eyeball on the original one (same centre, mean radius).

    Args:
        base_vertices: (N,3) template positions of the base mesh.
        sources: (m,) vertices of the original eyeball.
        mesh: unit eyeball.
    """
    points = base_vertices[sources]
    centre = points.mean(axis=0)
    arms = points - centre
    return EyeFit(sources, centre, arms, float(np.linalg.norm(arms, axis=1).mean()), mesh)


def mirrored(mesh: EyeMesh) -> EyeMesh:
    """Mirror an eyeball in x, keeping the outward orientation and the vertex order."""
    flipped = mesh.polygons[:, [0, 3, 2, 1]]
    triangles = mesh.polygons[:, 3] < 0
    flipped[triangles] = mesh.polygons[triangles][:, [0, 2, 1, 3]]
    return EyeMesh(mesh.vertices * np.array([-1.0, 1.0, 1.0]), flipped, mesh.angles)
