# SPDX-License-Identifier: GPL-3.0-or-later
"""Dental arches: single teeth and gums along the base mesh's plain bands of teeth.

Every vertex is an affine combination of the band's vertices, so the arches follow identity and jaw as the bands do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .clipping import Row, mix
from .lashes import card_grid

PROFILE = 6
"""Vertices across an arch: gum, gum line, crown, outer edge, inner edge, inner side."""


@dataclass(frozen=True)
class ArchStyle:
    """One jaw's teeth.

    Attributes:
        widths: relative widths from the middle outwards.
        inset: metres the arch lies behind the band.
        overlap: how far the crowns reach beyond the band's edge, as a part of its height.
    """

    widths: tuple[float, ...]
    inset: float
    overlap: float


UPPER_ARCH = ArchStyle((8.6, 6.6, 7.6, 7.0, 6.8, 9.8, 9.4), 0.0, 0.0)
LOWER_ARCH = ArchStyle((5.4, 6.0, 7.0, 7.2, 7.2, 11.0, 10.6), 0.0022, 0.06)

_STATIONS = ((0.0, True), (0.22, False), (0.78, False))
"""Where a tooth's columns lie between its sides, and whether they lie in the groove between teeth."""


@dataclass(frozen=True)
class _Shape:
    """Cross-section of a tooth or of a groove.

    Attributes:
        gum_line: from the gum (0) to the edge (1).
        edge: likewise, of the crown's end.
        depth: metres behind the band at gum line, crown and edge.
        thickness: metres between outer and inner edge.
    """

    gum_line: float
    edge: float
    depth: tuple[float, float, float]
    thickness: float


_TOOTH = _Shape(0.36, 1.0, (0.0008, 0.0, 0.0006), 0.0022)
_GROOVE = _Shape(0.50, 0.94, (0.0012, 0.0014, 0.0014), 0.0014)
_MOLAR_THICKNESS = 0.0065
_FIRST_BROAD = 3
"""Teeth from this one on (premolars and molars) are broad."""


def build_arch(
    quads: NDArray[np.int64], points: NDArray[np.float64], mirror: NDArray[np.int64], style: ArchStyle
) -> tuple[list[Row], list[list[int]], list[str]]:
    """Build one jaw's teeth.

    Args:
        quads: (q,4) the band of teeth in the base mesh.
        points: (N,3) base vertices of the average person.
        mirror: (N,) the base mesh's mirror permutation.
        style: upper or lower jaw.

    Returns:
        Rows of the vertices, polygons over them, and the part of each polygon ("teeth" or "gums").
    """
    grid = _band(quads, points)
    middle = grid.shape[1] // 2
    edge = points[grid[2, middle:]]
    lengths = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(edge, axis=0), axis=1))])
    ends = np.concatenate([[0.0], np.cumsum(style.widths)]) * lengths[-1] / sum(style.widths)
    half: list[list[Row]] = []
    for tooth in range(len(style.widths)):
        for place, groove in _STATIONS:
            along = ends[tooth] + place * (ends[tooth + 1] - ends[tooth])
            column = middle + float(np.interp(along, lengths, np.arange(len(lengths))))
            half.append(_station(grid, points, column, _GROOVE if groove else _TOOTH, tooth, style))
    half.append(_station(grid, points, float(grid.shape[1] - 1), _GROOVE, len(style.widths) - 1, style))
    other = [[{int(mirror[v]): w for v, w in row.items()} for row in station] for station in half[:0:-1]]
    stations = other + half
    upper = points[grid[0], 1].mean() > points[grid[2], 1].mean()
    return [row for station in stations for row in station], *_polygons(len(stations), upper)


def _band(quads: NDArray[np.int64], points: NDArray[np.float64]) -> NDArray[np.int64]:
    """The band as a (4, columns) grid: gum, middle, edge, inner side; from the person's right to the left."""
    grid = card_grid(quads, points, np.zeros(3))
    if np.abs(points[grid[0], 0]).mean() < np.abs(points[grid[-1], 0]).mean():
        grid = grid[::-1]
    return grid if points[grid[0, 0], 0] < points[grid[0, -1], 0] else grid[:, ::-1]


def _station(
    grid: NDArray[np.int64], points: NDArray[np.float64], column: float, shape: _Shape, tooth: int, style: ArchStyle
) -> list[Row]:
    """The cross-section of an arch at a column of the band."""
    gum, centre, edge, inner = (_spline(row, column) for row in grid)
    inward = mix([(inner, 1.0), (centre, -1.0)])
    reach = float(np.linalg.norm(sum(w * points[v] for v, w in inward.items())))
    thickness = shape.thickness + (_MOLAR_THICKNESS if tooth >= _FIRST_BROAD else 0.0)

    def point(height: float, depth: float) -> Row:
        push = (depth + style.inset) / reach
        return mix([(gum, 1.0 - height), (edge, height), (inward, push)])

    end = shape.edge + style.overlap
    crown = 0.5 * (shape.gum_line + end)
    low, belly, tip = shape.depth
    return [
        point(0.0, low + 0.0006), point(shape.gum_line, low), point(crown, belly), point(end, tip),
        point(end - 0.02, tip + thickness), point(shape.gum_line, thickness + 0.0035),
    ]


def _spline(row: NDArray[np.int64], column: float) -> Row:
    """Catmull-Rom weights of a row's vertices at a fractional column."""
    last = len(row) - 1
    k = min(int(column), last - 1)
    t = column - k
    weights = 0.5 * np.array([
        -t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2
    ])
    return mix([({int(row[np.clip(k + i - 1, 0, last)]): 1.0}, float(w)) for i, w in enumerate(weights) if w != 0.0])


def _polygons(stations: int, upper: bool) -> tuple[list[list[int]], list[str]]:
    polygons, parts = [], []
    for s in range(stations - 1):
        for k in range(PROFILE - 1):
            a, b = s * PROFILE + k, (s + 1) * PROFILE + k
            quad = [a, a + 1, b + 1, b]
            polygons.append(quad if upper else quad[::-1])
            parts.append("gums" if k == 0 else "teeth")
    return polygons, parts
