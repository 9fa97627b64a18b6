# SPDX-License-Identifier: GPL-3.0-or-later
"""Eyelashes: tapered hairs along the base mesh's lash cards, so that no alpha texture is needed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .clipping import Row

VERTICES_PER_LASH = 5
"""Two at the root, two in the middle, the tip."""


@dataclass(frozen=True)
class LashStyle:
    """Hairs along one lid.

    Attributes:
        count: number of hairs.
        length: of the longest hair, as a part of the card's depth.
        width: of a root as a part of the spacing.
        flipped: turn the hairs' faces round, so that they face forward.
    """

    count: int
    length: float
    width: float
    flipped: bool


UPPER = LashStyle(30, 0.85, 0.42, False)
LOWER = LashStyle(22, 0.5, 0.30, True)


def card_grid(
    quads: NDArray[np.int64], points: NDArray[np.float64], root_near: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Order a card's vertices into a grid.

    Args:
        quads: (q,4) of one card.
        points: (N,3) positions.
        root_near: (3,) a point the root row is nearest to (the eye's centre).

    Returns:
        (rows, columns) vertex indices from root to tip, from the nose outwards.
    """
    neighbours: dict[int, set[int]] = {}
    for quad in quads.tolist():
        for a, b in zip(quad, quad[1:] + quad[:1], strict=True):
            neighbours.setdefault(a, set()).add(b)
            neighbours.setdefault(b, set()).add(a)
    corner = min(v for v, others in neighbours.items() if len(others) == 2)
    sides = [_walk(neighbours, corner, first) for first in sorted(neighbours[corner])]
    row = max(sides, key=len)
    rows, seen = [row], set(row)
    while len(seen) < len(neighbours):
        row = [next(n for n in neighbours[v] if n not in seen and _only_ahead(neighbours, n, row, v)) for v in row]
        rows.append(row)
        seen |= set(row)
    grid = np.array(rows)
    distance = np.linalg.norm(points[grid] - root_near, axis=2).mean(axis=1)
    if distance[0] > distance[-1]:
        grid = grid[::-1]
    return grid if abs(points[grid[0, 0], 0]) < abs(points[grid[0, -1], 0]) else grid[:, ::-1]


def _walk(neighbours: dict[int, set[int]], corner: int, first: int) -> list[int]:
    """Follow the border from a corner to the next corner."""
    path = [corner, first]
    while len(neighbours[path[-1]]) > 2:
        path.append(next(n for n in sorted(neighbours[path[-1]]) if n not in path and len(neighbours[n]) <= 3))
    return path


def _only_ahead(neighbours: dict[int, set[int]], candidate: int, row: list[int], vertex: int) -> bool:
    """Whether a neighbour lies in the next row: its only neighbour in this row is the vertex itself."""
    return neighbours[candidate] & set(row) == {vertex}


def grow(grid: NDArray[np.int64], style: LashStyle) -> tuple[list[Row], list[list[int]]]:
    """Grow hairs on a card.

    Args:
        grid: (rows, columns) vertices from root to tip, from the nose outwards.
        style: how many and how long.

    Returns:
        Rows of the new vertices (weighted means of the card's) and polygons over them.
    """
    rows: list[Row] = []
    polygons: list[list[int]] = []
    depth, columns = grid.shape[0] - 1, grid.shape[1] - 1
    spacing = columns / style.count
    for k in range(style.count):
        place = (k + 0.5) * spacing
        along = place / columns
        # Longest beyond the middle of the lid, shortest at the corners; neighbours differ a little.
        length = depth * style.length * (0.45 + 0.55 * np.sin(np.pi * along**0.8)) * (1.0, 0.86, 0.95)[k % 3]
        lean = spacing * (0.5 * along + (0.25, -0.2, 0.05, -0.1)[k % 4])
        half = 0.5 * spacing * style.width
        first = len(rows)
        rows += [
            _at(grid, 0.0, place - half), _at(grid, 0.0, place + half),
            _at(grid, 0.55 * length, place + 0.4 * lean + 0.7 * half),
            _at(grid, 0.55 * length, place + 0.4 * lean - 0.7 * half),
            _at(grid, length, place + lean),
        ]
        polygons += [[first, first + 1, first + 2, first + 3], [first + 3, first + 2, first + 4]]
    return rows, [[p[0], *p[:0:-1]] for p in polygons] if style.flipped else polygons


def _at(grid: NDArray[np.int64], row: float, column: float) -> Row:
    """Bilinear point of the card; outside it clamps."""
    row = float(np.clip(row, 0, grid.shape[0] - 1))
    column = float(np.clip(column, 0, grid.shape[1] - 1))
    r, c = min(int(row), grid.shape[0] - 2), min(int(column), grid.shape[1] - 2)
    fr, fc = row - r, column - c
    result: Row = {}
    for i, down in ((r, 1 - fr), (r + 1, fr)):
        for j, across in ((c, 1 - fc), (c + 1, fc)):
            if down * across > 0:
                result[int(grid[i, j])] = float(down * across)
    return result
