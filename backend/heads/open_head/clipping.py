# SPDX-License-Identifier: GPL-3.0-or-later
"""Cutting a polygon mesh with a plane and capping the hole, as a linear map of its vertices.

Every new vertex is a weighted mean of old ones, so whatever is linear in the vertices (targets, weights, texture
coordinates) follows by one matrix product.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Row = dict[int, float]
"""One vertex as a weighted mean of source vertices: index -> weight, weights sum to 1."""

SNAP = 0.3
"""Vertices nearer to the plane than this part of an edge are moved onto it along the edge: no slivers."""

BEVEL = 0.002
"""Metres between the last ring of the surface and the edge of the cap: keeps smooth shading from bleeding round."""

_CAP_RINGS = (0.03, 0.3, 0.65)
"""Where the rings of the cap lie between its edge (0) and its centre (1)."""


@dataclass
class PolygonSoup:
    """A mesh under construction.

    Attributes:
        rows: one row per vertex.
        polygons: vertex indices, three or four each.
        origin: index of the polygon of the source mesh each polygon came from, -1 for the cap.
    """

    rows: list[Row] = field(default_factory=list)
    polygons: list[list[int]] = field(default_factory=list)
    origin: list[int] = field(default_factory=list)


def clip(quads: NDArray[np.int64], height: NDArray[np.float64]) -> tuple[PolygonSoup, set[int]]:
    """Keep what lies above a plane.

    Args:
        quads: (P,4) polygons.
        height: (N,) signed distance of each vertex from the plane, positive where it is kept.

    Returns:
        The kept part and the set of its vertices that lie on the plane. Vertices are numbered in the order of the
        source mesh, then the new ones in the order in which the polygons meet them.
    """
    snapped = _snap(quads, height)
    level = height.copy()
    level[list(snapped)] = 0.0
    kept = [int(p) for p in range(len(quads)) if (level[quads[p]] > 0).any()]
    used = sorted({int(v) for p in kept for v in quads[p] if level[v] >= 0})
    number = {v: k for k, v in enumerate(used)}
    soup = PolygonSoup(rows=[snapped.get(v, {v: 1.0}) for v in used])
    rim = {number[v] for v in used if level[v] == 0}
    crossings: dict[tuple[int, int], int] = {}

    def crossing(above: int, below: int) -> int:
        if (above, below) not in crossings:
            part = level[above] / (level[above] - level[below])
            crossings[above, below] = len(soup.rows)
            rim.add(len(soup.rows))
            soup.rows.append({above: 1.0 - part, below: part})
        return crossings[above, below]

    for p in kept:
        corners = [int(v) for v in quads[p]]
        polygon: list[int] = []
        for a, b in zip(corners, corners[1:] + corners[:1], strict=True):
            if level[a] >= 0:
                polygon.append(number[a])
            if level[a] > 0 > level[b]:
                polygon.append(crossing(a, b))
            elif level[a] < 0 < level[b]:
                polygon.append(crossing(b, a))
        for piece in _split(polygon, rim):
            soup.polygons.append(piece)
            soup.origin.append(p)
    return soup, rim


def _snap(quads: NDArray[np.int64], height: NDArray[np.float64]) -> dict[int, Row]:
    """Move vertices close to the plane onto it along the edges that cross it close by; returns their new rows."""
    edges = {tuple(sorted(e)) for q in quads.tolist() for e in zip(q, q[1:] + q[:1], strict=True)}
    near: dict[int, list[tuple[int, float]]] = {}
    for a, b in sorted(edges):
        if height[a] * height[b] < 0:
            part = height[a] / (height[a] - height[b])
            if part < SNAP:
                near.setdefault(a, []).append((b, part))
            elif part > 1 - SNAP:
                near.setdefault(b, []).append((a, 1 - part))
    rows: dict[int, Row] = {}
    for vertex, ends in near.items():
        row: Row = {vertex: sum(1.0 - part for _, part in ends) / len(ends)}
        for end, part in ends:
            row[end] = part / len(ends)
        rows[vertex] = row
    return rows


def _split(polygon: list[int], rim: set[int]) -> list[list[int]]:
    """Split a pentagon (a quad that lost one corner) so that its mirror image is split alike."""
    if len(polygon) <= 4:
        return [polygon]
    start = next(k for k in range(5) if polygon[k - 2] in rim and polygon[k - 1] in rim)
    a, b, c, x, y = polygon[start:] + polygon[:start]
    return [[a, b, c], [a, c, x, y]]


def boundary_loop(polygons: Sequence[Sequence[int]], rim: set[int]) -> list[int]:
    """Order the rim's boundary edges into one closed loop, running against the polygons' orientation.

    Raises:
        ValueError: the rim is not a single closed loop.
    """
    inside = {(a, b) for p in polygons for a, b in zip(p, [*p[1:], p[0]], strict=True)}
    following = {b: a for a, b in inside if a in rim and b in rim and (b, a) not in inside}
    start = min(following)
    loop = [start]
    while following[loop[-1]] != start:
        loop.append(following[loop[-1]])
    if len(loop) != len(following):
        raise ValueError(f"The rim of the cut is not one loop: {len(loop)} of {len(following)} edges.")
    return loop


def extend(soup: PolygonSoup, loop: list[int], height: NDArray[np.float64], depth: float) -> list[int]:
    """Continue the surface straight on beyond a loop on the plane, by a ring of quads down to ``-depth``.

    Args:
        soup: the mesh, whose vertices refer to the source mesh.
        loop: vertices on the plane.
        height: (N,) distance of the source vertices from the plane.
        depth: distance of the new ring below the plane.

    Returns:
        The new ring.
    """
    on_loop = set(loop)
    inner: dict[int, set[int]] = {v: set() for v in loop}
    for polygon in soup.polygons:
        for a, b in zip(polygon, polygon[1:] + polygon[:1], strict=True):
            for rim, other in ((a, b), (b, a)):
                if rim in on_loop and other not in on_loop:
                    inner[rim].add(other)
    ring = []
    for vertex in loop:
        ends = []
        for other in sorted(inner[vertex]):
            reach = depth / sum(weight * height[v] for v, weight in soup.rows[other].items())
            ends.append(mix([(soup.rows[vertex], 1.0 + reach), (soup.rows[other], -reach)]))
        ring.append(len(soup.rows))
        soup.rows.append(mix([(end, 1.0 / len(ends)) for end in ends]))
    _add_ring(soup, loop, ring)
    return ring


def cap(soup: PolygonSoup, loop: list[int]) -> None:
    """Close a loop with rings of quads and a fan of triangles about its centre."""
    centre = mix([(soup.rows[v], 1.0 / len(loop)) for v in loop])
    previous = loop
    for part in _CAP_RINGS:
        ring = list(range(len(soup.rows), len(soup.rows) + len(loop)))
        soup.rows.extend(mix([(soup.rows[v], 1.0 - part), (centre, part)]) for v in loop)
        _add_ring(soup, previous, ring)
        previous = ring
    soup.rows.append(centre)
    hub = len(soup.rows) - 1
    for a, b in zip(previous, previous[1:] + previous[:1], strict=True):
        soup.polygons.append([a, b, hub])
        soup.origin.append(-1)


def _add_ring(soup: PolygonSoup, outer: list[int], inner: list[int]) -> None:
    for k in range(len(outer)):
        following = (k + 1) % len(outer)
        soup.polygons.append([outer[k], outer[following], inner[following], inner[k]])
        soup.origin.append(-1)


def mix(rows: list[tuple[Row, float]]) -> Row:
    """Weighted sum of rows."""
    total: Row = {}
    for row, weight in rows:
        for vertex, part in row.items():
            total[vertex] = total.get(vertex, 0.0) + weight * part
    return total
