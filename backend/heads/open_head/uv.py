# SPDX-License-Identifier: GPL-3.0-or-later
"""The texture layout of the open head: its charts flattened and packed into the unit square.

The face with scalp and neck is one mirror-symmetric chart on top; below it lie eyeballs, mouth, eye sockets, teeth,
tongue, the neck's end and lashes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .charts import Chart, cut_charts
from .eyes import EyeMesh
from .flatten import flatten
from .lashes import VERTICES_PER_LASH
from .topology import HeadTopology

MARGIN = 0.004
"""Free space around every chart, as a part of the texture's width."""
LEAST_SHELF = 0.16
"""Height kept for the small charts at least."""

_ROUNDS = {"skin": 150}
_DEFAULT_ROUNDS = 60
_DENSITY = {
    "eye_front": 1.8, "eye_back": 0.6, "mouth": 0.45, "socket.L": 0.6, "socket.R": 0.6, "neck_cap": 0.25,
    "teeth_upper": 1.0, "teeth_lower": 1.0, "tongue_top": 0.9, "tongue_bottom": 0.6, "lashes": 1.0,
}
"""Texture density of the small charts relative to each other."""


@dataclass(frozen=True)
class FlatChart:
    """A piece of the layout: corners (p,4) of the head's ``polygons`` (p,) index ``uv`` (n,2)."""

    name: str
    polygons: NDArray[np.int64]
    corners: NDArray[np.int64]
    uv: NDArray[np.float64]


@dataclass(frozen=True)
class UvLayout:
    """Texture coordinates: uv (T,2) in [0,1], v up, and polygon_uvs (P,4) with -1 like the polygons."""

    uv: NDArray[np.float64]
    polygon_uvs: NDArray[np.int64]


@dataclass(frozen=True)
class UvQuality:
    """How good a layout is.

    Attributes:
        stretch: (F,) larger over smaller singular value of every triangle's map.
        face_share: part of the unit square that the face (ear to ear, chin to hairline) takes.
        used: part of the unit square that is covered.
        flipped: number of triangles with no positive area.
    """

    stretch: NDArray[np.float64]
    face_share: float
    used: float
    flipped: int


def unwrap(topology: HeadTopology, materials: NDArray[np.uint8]) -> UvLayout:
    """Flatten and pack the whole head.

    Args:
        topology: the head.
        materials: (P,) material of each polygon.
    """
    skin, *others = cut_charts(topology, materials)
    main = _upright(topology, skin, _flatten(skin))
    small = [FlatChart(c.name, c.polygons, c.corners, _lying(_flatten(c))) for c in others]
    for eye, fit in zip(topology.eye_vertices, topology.eyes, strict=True):
        small += _eye_charts(topology, eye, fit.mesh, fit.radius)
    small.append(_lash_chart(topology))
    placed = _pack(FlatChart("skin", skin.polygons, skin.corners, main), small)
    polygon_uvs = np.full_like(topology.polygons, -1)
    first = 0
    for chart in placed:
        polygon_uvs[chart.polygons] = np.where(chart.corners < 0, -1, chart.corners + first)
        first += len(chart.uv)
    return UvLayout(np.concatenate([chart.uv for chart in placed]), polygon_uvs)


def _flatten(chart: Chart) -> NDArray[np.float64]:
    return flatten(chart.points, chart.triangles, chart.scale, _ROUNDS.get(chart.name, _DEFAULT_ROUNDS))


def _upright(topology: HeadTopology, chart: Chart, flat: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn the skin's chart upright, the person's left at the right, and make it exactly symmetric about u = 0."""
    single = np.flatnonzero(np.bincount(chart.vertices, minlength=len(topology.template))[chart.vertices] == 1)
    place = np.full(len(topology.template), -1)
    place[chart.vertices[single]] = single
    twins = place[topology.mirror[chart.vertices[single]]]
    left = chart.points[single, 0] > 1e-6
    across = flat[single[left]] - flat[twins[left]]
    axis = np.linalg.svd(across, full_matrices=False)[2][0]
    axis = axis * np.sign(np.sum(across @ axis))
    up = np.array([-axis[1], axis[0]])
    middle = single[np.abs(chart.points[single, 0]) < 1e-9]
    turned = np.stack([(flat - flat[middle].mean(axis=0)) @ axis, (flat - flat[middle].mean(axis=0)) @ up], axis=1)
    copies: dict[int, list[int]] = {}
    for k, vertex in enumerate(chart.vertices.tolist()):
        copies.setdefault(vertex, []).append(k)
    result = turned.copy()
    for k, vertex in enumerate(chart.vertices.tolist()):
        options = np.array(copies[int(topology.mirror[vertex])])
        images = turned[options] * np.array([-1.0, 1.0])
        result[k] = 0.5 * (turned[k] + images[np.argmin(np.linalg.norm(images - turned[k], axis=1))])
    return result


def _lying(flat: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn a chart so that its bounding box is lowest."""
    best = flat
    for angle in np.radians(np.arange(0, 180, 5)):
        c, s = np.cos(angle), np.sin(angle)
        turned = flat @ np.array([[c, s], [-s, c]])
        if np.ptp(turned[:, 1]) < np.ptp(best[:, 1]) - 1e-9:
            best = turned
    return best


def _eye_charts(
    topology: HeadTopology, eye: NDArray[np.int64], mesh: EyeMesh, radius: float
) -> list[FlatChart]:
    """Front and back half of an eyeball as discs whose radius is the angle from the optical axis."""
    polygons = np.flatnonzero(np.isin(topology.polygons[:, 0], eye))
    corners = np.where(topology.polygons[polygons] < 0, -1, topology.polygons[polygons] - eye[0])
    furthest = mesh.angles[np.where(corners < 0, corners[:, :1], corners)].max(axis=1)
    turn = np.arctan2(mesh.vertices[:, 1], mesh.vertices[:, 0])
    charts = []
    for name, chosen, angle, sign in (
        ("eye_front", furthest <= 90.0, np.radians(mesh.angles), 1.0),
        ("eye_back", furthest > 90.0, np.pi - np.radians(mesh.angles), -1.0),
    ):
        used, inverse = np.unique(corners[chosen], return_inverse=True)
        inverse = inverse.reshape(-1, 4)
        none = int(used[0] < 0)
        used = used[none:]
        disc = radius * angle[used, None] * np.stack([sign * np.cos(turn[used]), np.sin(turn[used])], axis=1)
        charts.append(FlatChart(name, polygons[chosen], inverse - none, disc))
    return charts


def _lash_chart(topology: HeadTopology) -> FlatChart:
    """Every hair a spike in a cell of its own, in a square."""
    polygons = np.flatnonzero(topology.parts == "lashes")
    used = topology.vertices_of("lashes")
    hairs = len(used) // VERTICES_PER_LASH
    columns = int(np.ceil(np.sqrt(hairs)))
    corners = np.where(topology.polygons[polygons] < 0, -1, topology.polygons[polygons] - used[0])
    uv = np.empty((len(used), 2))
    cell = 0.02 / columns
    spike = np.array([[0.15, 0.1], [0.85, 0.1], [0.75, 0.5], [0.25, 0.5], [0.5, 0.9]])
    tips = corners[corners[:, 3] < 0]
    for hair in range(hairs):
        first = hair * VERTICES_PER_LASH
        a, b, c = spike[tips[(tips == first + 4).any(axis=1)][0, :3] - first]
        # Hairs wound the other way round are drawn mirrored, so that no triangle is flipped.
        backward = (b - a)[0] * (c - a)[1] < (b - a)[1] * (c - a)[0]
        shape = spike * np.array([-1.0, 1.0]) + np.array([1.0, 0.0]) if backward else spike
        uv[first : first + VERTICES_PER_LASH] = cell * (shape + np.array([hair % columns, hair // columns]))
    return FlatChart("lashes", polygons, corners, uv)


def _pack(main: FlatChart, small: list[FlatChart]) -> list[FlatChart]:
    """The main chart above at full width, the small ones in rows below, highest first and as large as they fit."""
    size = np.ptp(main.uv, axis=0)
    scale = min((1.0 - 2 * MARGIN) / size[0], (1.0 - LEAST_SHELF) / size[1])
    # Symmetric about u = 0.5.
    uv = main.uv * scale + np.array([0.5, 1.0 - MARGIN - main.uv[:, 1].max() * scale])
    room = float(uv[:, 1].min()) - MARGIN
    order = sorted(small, key=lambda c: -np.ptp(c.uv[:, 1]) * _DENSITY[c.name])
    boxes = np.array([np.ptp(c.uv, axis=0) * _DENSITY[c.name] for c in order])
    low, high = 0.0, 1.0 / boxes[:, 0].max()
    for _ in range(40):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if _rows(boxes * middle)[1] <= room else (low, middle)
    corners = _rows(boxes * low)[0]
    placed = [
        FlatChart(c.name, c.polygons, c.corners, (c.uv - c.uv.min(axis=0)) * _DENSITY[c.name] * low + corner)
        for c, corner in zip(order, corners, strict=True)
    ]
    return [FlatChart(main.name, main.polygons, main.corners, uv), *placed]


def _rows(boxes: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Lower left corners of boxes set in rows from the bottom, and the height they take."""
    corners = np.empty_like(boxes)
    u, v, top = MARGIN, MARGIN, MARGIN
    for k, (width, height) in enumerate(boxes):
        if u + width + MARGIN > 1.0:
            u, v = MARGIN, top
        corners[k] = u, v
        u += width + MARGIN
        top = max(top, v + height + MARGIN)
    return corners, float(np.inf if (boxes[:, 0] + 2 * MARGIN > 1.0).any() else top)


def quality(
    vertices: NDArray[np.floating], faces: NDArray[np.integer], uv: NDArray[np.floating], uv_faces: NDArray[np.integer]
) -> UvQuality:
    """Measure a layout.

    Args:
        vertices: (V,3) template in head space, metres.
        faces: (F,3).
        uv: (T,2).
        uv_faces: (F,3).
    """
    a, b, c = (np.asarray(vertices, dtype=np.float64)[faces[:, k]] for k in range(3))
    first = np.linalg.norm(b - a, axis=1)
    normal = np.cross(b - a, c - a)
    rest = np.zeros((len(faces), 2, 2))
    rest[:, 0, 0] = first
    rest[:, 0, 1] = np.sum((c - a) * (b - a), axis=1) / first
    rest[:, 1, 1] = np.linalg.norm(normal, axis=1) / first
    p, q, r = (np.asarray(uv, dtype=np.float64)[uv_faces[:, k]] for k in range(3))
    flat = np.stack([q - p, r - p], axis=2)
    areas = 0.5 * np.linalg.det(flat)
    values = np.linalg.svd(flat @ np.linalg.inv(rest), compute_uv=False)
    centre = (a + b + c) / 3
    face = (centre[:, 2] > 0.03) & (centre[:, 1] > -0.09) & (centre[:, 1] < 0.09) & (normal[:, 2] > 0)
    face &= areas > 0
    return UvQuality(
        stretch=values[:, 0] / np.maximum(values[:, 1], 1e-12),
        face_share=float(areas[face].sum()),
        used=float(areas[areas > 0].sum()),
        flipped=int((areas <= 0).sum()),
    )
