# SPDX-License-Identifier: GPL-3.0-or-later
"""A surface laid onto another one freely: every vertex moves for itself, the smoother the stiffer the surface is.

As Amberg, Romdhani and Vetter (2007) step down the stiffness, but with a displacement instead of an affine map for
each vertex, whose second differences over the mesh are kept small: bending and stretching evenly cost nothing.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from backend.heads.counterparts import Surface
from backend.heads.shaping import Skin
from backend.progress import Progress

STIFFNESS = (300.0, 100.0, 30.0, 10.0, 3.0, 1.0)
STEPS = 3
DOUBT = 0.004
"""Metres from which on a counterpart is doubted."""
LEAST_PULL = 1e-4
"""What a vertex without a counterpart is held by where the start had it."""


def deformed(start: np.ndarray, skin: Skin, target: Surface, progress: Progress) -> np.ndarray:
    """Lay a skin onto a surface.

    Args:
        start: (N,3) the skin's vertices, near the surface.
        skin: The skin.
        target: The surface.
        progress: Told of the steps; asked whether to go on.

    Returns:
        (N,3) metres.
    """
    bending = _bending(skin.faces, len(start))
    rim, move = target.rim(), np.zeros_like(start)
    for step, stiffness in enumerate(np.repeat(STIFFNESS, STEPS)):
        progress("register", 0.5 + 0.4 * step / (len(STIFFNESS) * STEPS), "Registering the head")
        progress.check_cancelled()
        here = start + move
        triangles, weights = target.nearest(skin.points(here))
        goal = target.at(triangles, weights)
        trust = np.where(rim[triangles], 0.0, 1 / (1 + (np.linalg.norm(goal - here, axis=1) / DOUBT) ** 2) ** 2)
        trust = np.maximum(trust, LEAST_PULL)
        system = sparse.diags(trust) + stiffness * bending
        right = trust[:, None] * np.where((trust > LEAST_PULL)[:, None], goal - start, move)
        move = splu(system.tocsc(), permc_spec="MMD_AT_PLUS_A").solve(right)
    return start + move


def _bending(faces: np.ndarray, count: int) -> sparse.csr_matrix:
    """(N,N) quadratic form of the second differences of a field over the mesh."""
    edges = np.unique(np.sort(faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1), axis=0)
    one, other = edges.T
    links = sparse.coo_matrix((np.ones(len(edges)), (one, other)), shape=(count, count)).tocsr()
    links = links + links.T
    degree = np.maximum(np.asarray(links.sum(axis=1)).ravel(), 1)
    second = sparse.identity(count) - sparse.diags(1 / degree) @ links
    return (second.T @ second).tocsr()
