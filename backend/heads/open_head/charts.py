# SPDX-License-Identifier: GPL-3.0-or-later
"""Cutting the open head into charts for its texture: where the seams run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from .colours import MATERIALS
from .topology import HeadTopology

_SEAM_END = 0.03
"""The seam runs up the back of the neck and head to where it passes this z (metres): the crown."""

_DART_FROM = np.array([0.062, -0.115, -0.035])
_DART_TO = np.array([0.060, -0.035, -0.022])
"""Ends of the left neck dart (metres)."""

_SOCKET_REACH = 1.6
"""The socket lies within so many radii of the eye's centre."""

_FACE_SCALE, _BACK_SCALE = 1.35, 0.7


@dataclass(frozen=True)
class Chart:
    """A disc of the head's surface with its own vertices.

    Attributes:
        name: of the chart.
        polygons: (p,) polygons of the head.
        corners: (p,4) the chart's vertices at their corners, -1 like the polygons.
        vertices: (n,) vertex of the head each of the chart's vertices came from.
        points: (n,3) positions.
        triangles: (m,3) over the chart's vertices.
        scale: (m,) wanted scale of the triangles.
    """

    name: str
    polygons: NDArray[np.int64]
    corners: NDArray[np.int64]
    vertices: NDArray[np.int64]
    points: NDArray[np.float64]
    triangles: NDArray[np.int64]
    scale: NDArray[np.float64]


def cut_charts(topology: HeadTopology, materials: NDArray[np.uint8]) -> list[Chart]:
    """Cut everything but eyeballs and lashes into discs; the face with the scalp and the neck comes first.

    Args:
        topology: the head.
        materials: (P,) material of each polygon.
    """
    parts = topology.parts
    mouth = (materials == MATERIALS.index("mouth")) & (parts == "skin")
    teeth = np.isin(parts, ("teeth", "gums"))
    sockets = [_socket(topology, side) for side in (0, 1)]
    skin = (parts == "skin") & ~mouth & ~sockets[0] & ~sockets[1]
    lower = np.zeros(len(parts), bool)
    lower[_used_only(topology, topology.lower_teeth)] = True
    upward = _normals(topology)[:, 1] >= 0
    dart = _neck_dart(topology, skin)
    seams = [_back_seam(topology, skin), dart, [int(topology.mirror[v]) for v in dart]]
    charts: list[tuple[str, NDArray[np.bool_], list[list[int]]]] = [("skin", skin, seams)]
    charts += [
        (name, chosen, [])
        for name, chosen in (
            ("mouth", mouth), ("socket.L", sockets[0]), ("socket.R", sockets[1]), ("neck_cap", parts == "neck_cap"),
            ("teeth_upper", teeth & ~lower), ("teeth_lower", teeth & lower),
            ("tongue_top", (parts == "tongue") & upward), ("tongue_bottom", (parts == "tongue") & ~upward),
        )
    ]
    return [_chart(topology, name, np.flatnonzero(chosen), cuts) for name, chosen, cuts in charts]


def _chart(topology: HeadTopology, name: str, polygons: NDArray[np.int64], seams: list[list[int]]) -> Chart:
    """Give a set of polygons its own vertices, doubled along the seams."""
    corners = _split_corners(topology.polygons[polygons], seams)
    valid = corners >= 0
    vertices = np.empty(corners.max() + 1, dtype=np.int64)
    vertices[corners[valid]] = topology.polygons[polygons][valid]
    points = topology.template[vertices]
    both = corners[:, [[0, 1, 2], [0, 2, 3]]].reshape(-1, 3)
    triangles = both[(both >= 0).all(axis=1)]
    scale = _scale(points[triangles].mean(axis=1)) if name == "skin" else np.ones(len(triangles))
    return Chart(name, polygons, corners, vertices, points, triangles, scale)


def _split_corners(polygons: NDArray[np.int64], seams: list[list[int]]) -> NDArray[np.int64]:
    """(p,4) new vertex numbers: corners at one vertex are one where polygons share an edge that is no seam."""
    cut = {frozenset(edge) for seam in seams for edge in zip(seam, seam[1:], strict=False)}
    sides: dict[tuple[int, int], int] = {}
    links: list[tuple[int, int]] = []
    for p, polygon in enumerate(polygons.tolist()):
        loop = [4 * p + k for k, v in enumerate(polygon) if v >= 0]
        for a, b in zip(loop, loop[1:] + loop[:1], strict=True):
            start, end = polygon[a % 4], polygon[b % 4]
            if frozenset((start, end)) in cut:
                continue
            if (end, start) in sides:
                other = sides[end, start]
                q, k = divmod(other, 4)
                count = 4 if polygons[q, 3] >= 0 else 3
                links += [(a, 4 * q + (k + 1) % count), (b, other)]
            sides[start, end] = a
    pairs = np.array(links)
    graph = sparse.coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(polygons.size, polygons.size))
    labels = sparse.csgraph.connected_components(graph, directed=False)[1].reshape(-1, 4)
    valid = polygons >= 0
    # Number the new vertices in the order of the old ones.
    names = sorted({(int(v), int(label)) for v, label in zip(polygons[valid], labels[valid], strict=True)})
    number = {label: k for k, (_, label) in enumerate(names)}
    corners = np.full(polygons.shape, -1)
    corners[valid] = [number[int(label)] for label in labels[valid]]
    return corners


def _scale(centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """Finer texture for the face, coarser for scalp and neck."""
    front = np.clip((centres[:, 2] - 0.0) / 0.07, 0.0, 1.0)
    height = np.clip((centres[:, 1] + 0.16) / 0.10, 0.0, 1.0)
    blend = front * height
    blend = blend * blend * (3 - 2 * blend)
    return _BACK_SCALE + (_FACE_SCALE - _BACK_SCALE) * blend


def _back_seam(topology: HeadTopology, skin: NDArray[np.bool_]) -> list[int]:
    """Vertices along the midline from the back of the neck's end to the crown."""
    polygons = topology.polygons[skin]
    middle = set(np.flatnonzero(topology.mirror == np.arange(len(topology.mirror))).tolist())
    neighbours: dict[int, set[int]] = {}
    for polygon in polygons.tolist():
        corners = [v for v in polygon if v >= 0]
        for a, b in zip(corners, corners[1:] + corners[:1], strict=True):
            if a in middle and b in middle:
                neighbours.setdefault(a, set()).add(b)
                neighbours.setdefault(b, set()).add(a)
    points = topology.template
    rim = set(topology.vertices_of("neck_cap").tolist()) & set(neighbours)
    seam = [min(rim, key=lambda v: points[v, 2])]
    while points[seam[-1], 2] < _SEAM_END:
        seam.append(next(v for v in neighbours[seam[-1]] if v not in seam))
    return seam


def _neck_dart(topology: HeadTopology, skin: NDArray[np.bool_]) -> list[int]:
    """Vertices from the neck's end up its left side to behind the ear.

    The neck is narrower than the head: without the dart its front would be stretched sideways.
    """
    polygons = topology.polygons[skin]
    pairs = np.concatenate([polygons[:, [k, (k + 1) % 4]] for k in range(4)])
    pairs = pairs[(pairs >= 0).all(axis=1)]
    points = topology.template
    lengths = np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1)
    graph = sparse.coo_matrix((lengths, (pairs[:, 0], pairs[:, 1])), shape=(len(points), len(points))).tocsr()
    rim = np.intersect1d(topology.vertices_of("neck_cap"), pairs)
    start = rim[np.argmin(np.linalg.norm(points[rim] - _DART_FROM, axis=1))]
    ends = np.unique(pairs)
    end = ends[np.argmin(np.linalg.norm(points[ends] - _DART_TO, axis=1))]
    before = sparse.csgraph.dijkstra(graph, directed=False, indices=start, return_predecessors=True)[1]
    path = [int(end)]
    while path[-1] != start:
        path.append(int(before[path[-1]]))
    return path[::-1]


def _socket(topology: HeadTopology, side: int) -> NDArray[np.bool_]:
    """(P,) the hidden pocket that holds an eyeball: the connected skin that faces the eye's centre, border smoothed."""
    eye = topology.eyes[side]
    corners = np.where(topology.polygons < 0, topology.polygons[:, :1], topology.polygons)
    arms = topology.template[corners].mean(axis=1) - eye.centre
    near = (topology.parts == "skin") & (np.linalg.norm(arms, axis=1) < _SOCKET_REACH * eye.radius)
    inside = near & (np.sum(_normals(topology) * arms, axis=1) < 0)
    around = _polygon_neighbours(topology.polygons, np.flatnonzero(near))
    for _ in range(4):
        votes = {p: sum(bool(inside[q]) for q in others) for p, others in around.items()}
        for p, count in votes.items():
            inside[p] = count >= 3 or (bool(inside[p]) and count >= 2)
    behind = min((p for p in around if inside[p]), key=lambda p: float(arms[p, 2]))
    return _reached(around, inside, behind)


def _polygon_neighbours(polygons: NDArray[np.int64], chosen: NDArray[np.int64]) -> dict[int, list[int]]:
    """For each chosen polygon the chosen ones it shares an edge with."""
    owners: dict[tuple[int, int], int] = {}
    for p in chosen:
        loop = [int(v) for v in polygons[p] if v >= 0]
        owners |= {(a, b): int(p) for a, b in zip(loop, loop[1:] + loop[:1], strict=True)}
    around: dict[int, list[int]] = {int(p): [] for p in chosen}
    for (a, b), p in owners.items():
        if (b, a) in owners:
            around[p].append(owners[b, a])
    return around


def _reached(around: dict[int, list[int]], inside: NDArray[np.bool_], seed: int) -> NDArray[np.bool_]:
    reached, front = {seed}, [seed]
    while front:
        for q in around[front.pop()]:
            if inside[q] and q not in reached:
                reached.add(q)
                front.append(q)
    result = np.zeros_like(inside)
    result[list(reached)] = True
    return result


def _used_only(topology: HeadTopology, vertices: NDArray[np.int64]) -> NDArray[np.int64]:
    """Polygons all of whose corners are among the given vertices."""
    chosen = np.isin(topology.polygons, vertices) | (topology.polygons < 0)
    return np.flatnonzero(chosen.all(axis=1))


def _normals(topology: HeadTopology) -> NDArray[np.float64]:
    """(P,3) polygon normals (not of unit length)."""
    points, polygons = topology.template, topology.polygons
    last = np.where(polygons[:, 3] < 0, polygons[:, 0], polygons[:, 3])
    return np.cross(points[polygons[:, 2]] - points[polygons[:, 0]], points[last] - points[polygons[:, 1]])
