# SPDX-License-Identifier: GPL-3.0-or-later
"""Flattening a disc of triangles without flips: Tutte's embedding, then scalable locally injective mappings.

Tutte 1963 gives a valid start; Rabinovich et al. 2017, "Scalable Locally Injective Mappings", minimise the symmetric
Dirichlet energy by reweighted least squares; holes are held open by fans of triangles.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import splu

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_PROXIMAL = 1e-4
_FAN_WEIGHT = 0.05
"""How much the triangles that fill holes count."""


def boundary_loops(triangles: Ints) -> list[list[int]]:
    """Closed boundary loops of an oriented triangle mesh, longest first, in the triangles' orientation."""
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    known = {(int(a), int(b)) for a, b in edges}
    following = {a: b for a, b in known if (b, a) not in known}
    loops: list[list[int]] = []
    left = set(following)
    while left:
        loop = [min(left)]
        left.discard(loop[0])
        while following[loop[-1]] in left:
            loop.append(following[loop[-1]])
            left.discard(loop[-1])
        loops.append(loop)
    return sorted(loops, key=lambda loop: (-len(loop), loop[0]))


def flatten(points: Floats, triangles: Ints, scale: Floats, rounds: int = 30) -> Floats:
    """Flatten a disc, perhaps with holes.

    Args:
        points: (n,3) positions.
        triangles: (m,3), oriented, topologically a disc once the shorter boundary loops are filled.
        scale: (m,) wanted scale of each triangle in the plane.
        rounds: iterations.

    Returns:
        (n,2) positions of the same orientation, with no triangle flipped.
    """
    outer, *holes = boundary_loops(triangles)
    count = len(points)
    fans = [[b, a, count + k] for k, loop in enumerate(holes) for a, b in zip(loop, loop[1:] + loop[:1], strict=True)]
    filled = np.concatenate([triangles, np.array(fans, dtype=np.int64).reshape(-1, 3)])
    hubs = np.array([points[loop].mean(axis=0) for loop in holes]).reshape(-1, 3)
    flat = _tutte(np.concatenate([points, hubs]), filled, outer)
    rest = _rest_shapes(np.concatenate([points, hubs]), filled)
    rest *= np.concatenate([scale, np.full(len(fans), scale.mean())])[:, None, None]
    area = 0.5 * np.linalg.det(rest)
    flat *= np.sqrt(area.sum() / _signed_areas(flat, filled).sum())
    area[len(triangles):] *= _FAN_WEIGHT
    inverse = np.linalg.inv(rest)
    for _ in range(rounds):
        flat = _step(flat, filled, inverse, area)
    return flat[:count]


def _tutte(points: Floats, triangles: Ints, outer: list[int]) -> Floats:
    """Map the outer loop to a circle by length and every other vertex to the mean of its neighbours."""
    count = len(points)
    ring = points[outer]
    lengths = np.linalg.norm(np.roll(ring, -1, axis=0) - ring, axis=1)
    angle = 2 * np.pi * np.concatenate([[0.0], np.cumsum(lengths)[:-1]]) / lengths.sum()
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    graph = sparse.coo_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(count, count)).tocsr()
    graph = ((graph + graph.T) > 0).astype(float)
    laplacian = (sparse.diags(np.asarray(graph.sum(axis=1)).ravel()) - graph).tocsr()
    flat = np.zeros((count, 2))
    flat[outer] = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    free = np.setdiff1d(np.arange(count), outer)
    right = -laplacian[free][:, outer] @ flat[outer]
    flat[free] = splu(laplacian[free][:, free].tocsc()).solve(right)
    return flat


def _rest_shapes(points: Floats, triangles: Ints) -> Floats:
    """(m,2,2) edge vectors (columns) of every triangle laid into the plane."""
    a, b, c = (points[triangles[:, k]] for k in range(3))
    first = np.linalg.norm(b - a, axis=1)
    along = np.sum((c - a) * (b - a), axis=1) / np.maximum(first, 1e-12)
    height = np.linalg.norm(np.cross(b - a, c - a), axis=1) / np.maximum(first, 1e-12)
    # Slivers would weigh infinitely: give every triangle a tenth of its base as height at least.
    height = np.maximum(height, 0.1 * first)
    zero = np.zeros_like(first)
    return np.stack([np.stack([first, along], axis=1), np.stack([zero, height], axis=1)], axis=1)


def _edges(flat: Floats, triangles: Ints) -> Floats:
    a, b, c = (flat[triangles[:, k]] for k in range(3))
    return np.stack([b - a, c - a], axis=2)


def _signed_areas(flat: Floats, triangles: Ints) -> Floats:
    return 0.5 * np.linalg.det(_edges(flat, triangles))


def _energy(flat: Floats, triangles: Ints, inverse: Floats, area: Floats) -> float:
    jacobian = _edges(flat, triangles) @ inverse
    determinant = np.linalg.det(jacobian)
    if (determinant <= 0).any():
        return np.inf
    squares = np.sum(jacobian**2, axis=(1, 2))
    return float(np.sum(area * squares * (1.0 + 1.0 / determinant**2)))


def _step(flat: Floats, filled: Ints, inverse: Floats, weights: Floats) -> Floats:
    """One reweighted least-squares step with a line search that never flips a triangle."""
    jacobian = _edges(flat, filled) @ inverse
    left, values, right = np.linalg.svd(jacobian)
    proper = np.linalg.det(left @ right)
    left[proper < 0, :, 1] *= -1
    values[proper < 0, 1] *= -1
    values = np.maximum(values, 1e-8)
    near = np.abs(values - 1.0) < 1e-6
    ratio = (values - values**-3) / np.where(near, 1.0, values - 1.0)
    strength = np.sqrt(np.where(near, 4.0, ratio))
    metric = left @ (strength[:, :, None] * left.transpose(0, 2, 1))
    target = _solve(flat, filled, inverse, metric, metric @ (left @ right), weights)
    direction = target - flat
    step = min(1.0, 0.9 * _largest_step(flat, direction, filled))
    before = _energy(flat, filled, inverse, weights)
    while _energy(flat + step * direction, filled, inverse, weights) > before and step > 1e-10:
        step *= 0.5
    return flat + step * direction if step > 1e-10 else flat


def _solve(flat: Floats, triangles: Ints, inverse: Floats, metric: Floats, goal: Floats, weights: Floats) -> Floats:
    """Minimise sum weight |metric (J - R)|^2 with a weak pull to where the vertices are."""
    count, faces = len(flat), len(triangles)
    # Gradient of the flat map: J[:, j] = sum_k x_k * basis[k, j] with basis rows of the three corners.
    basis = np.concatenate([-inverse.sum(axis=1, keepdims=True), inverse], axis=1)
    root = np.sqrt(weights)
    rows, columns, values = [], [], []
    for i in range(2):
        for j in range(2):
            row = (2 * i + j) * faces + np.arange(faces)
            for k in range(3):
                for axis in range(2):
                    rows.append(row)
                    columns.append(triangles[:, k] + axis * count)
                    values.append(root * metric[:, i, axis] * basis[:, k, j])
    matrix = sparse.csr_matrix(
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape=(4 * faces, 2 * count)
    )
    right = np.concatenate([root * goal[:, i, j] for i in range(2) for j in range(2)])
    pull = _PROXIMAL * weights.mean()
    normal = (matrix.T @ matrix + pull * sparse.eye(2 * count)).tocsc()
    solution = splu(normal).solve(matrix.T @ right + pull * flat.T.ravel())
    return solution.reshape(2, count).T


def _largest_step(flat: Floats, direction: Floats, triangles: Ints) -> float:
    """Largest step before the first triangle collapses: smallest positive root of its area."""
    p, d = _edges(flat, triangles), _edges(direction, triangles)
    a = np.linalg.det(d)
    b = p[:, 0, 0] * d[:, 1, 1] + d[:, 0, 0] * p[:, 1, 1] - p[:, 0, 1] * d[:, 1, 0] - d[:, 0, 1] * p[:, 1, 0]
    c = np.linalg.det(p)
    discriminant = b * b - 4 * a * c
    root = np.sqrt(np.maximum(discriminant, 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        # The stable form of both roots: 2c / (-b -+ sqrt).
        roots = np.stack([2 * c / (-b - root), 2 * c / (-b + root)])
    valid = (discriminant >= 0) & np.isfinite(roots) & (roots > 0)
    return float(np.min(np.where(valid, roots, np.inf), initial=np.inf))
