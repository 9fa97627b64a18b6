# SPDX-License-Identifier: GPL-3.0-or-later
"""Nearest points of a triangle mesh."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.heads.surface import nearest_on_surface


def random_mesh(seed: int) -> tuple[np.random.Generator, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random, random.normal(size=(30, 3)), random.permuted(np.tile(np.arange(30), (20, 1)), axis=1)[:, :3]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_no_point_of_the_surface_is_nearer(seed):
    random, vertices, faces = random_mesh(seed)
    points = 2 * random.normal(size=(8, 3))
    allowed = random.uniform(size=len(faces)) < 0.7
    allowed[0] = True
    found, weights = nearest_on_surface(points, vertices, faces, allowed)
    assert allowed[found].all()
    assert (weights >= -1e-9).all() and np.allclose(weights.sum(axis=1), 1)
    nearest = np.einsum("nk,nkd->nd", weights, vertices[faces[found]])
    distance = np.linalg.norm(nearest - points, axis=1)
    samples = random.dirichlet([0.4, 0.4, 0.4], size=(allowed.sum(), 300))
    sampled = np.einsum("fsk,fkd->fsd", samples, vertices[faces[allowed]]).reshape(-1, 3)
    closest = np.linalg.norm(sampled[None] - points[:, None], axis=-1).min(axis=1)
    assert (distance <= closest + 1e-9).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_point_of_the_surface_is_its_own_nearest(seed):
    random, vertices, faces = random_mesh(seed)
    picked = random.integers(0, len(faces), 10)
    weights = random.dirichlet([1, 1, 1], size=10)
    points = np.einsum("nk,nkd->nd", weights, vertices[faces[picked]])
    found, again = nearest_on_surface(points, vertices, faces, np.ones(len(faces), bool))
    assert np.allclose(np.einsum("nk,nkd->nd", again, vertices[faces[found]]), points, atol=1e-7)
