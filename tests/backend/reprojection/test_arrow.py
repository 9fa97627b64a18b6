# SPDX-License-Identifier: GPL-3.0-or-later
"""Arrow-shaped systems against the same systems written out whole."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import lsq_linear

from backend.reprojection.arrow import Arrow, Unknowns, bounded_step


def random_system(seed: int, faces: int, own: int, shared: int) -> tuple[Arrow, Unknowns]:
    """Normal equations of random residuals, each of one face."""
    random = torch.Generator().manual_seed(seed)
    rows = torch.randn(faces, own + shared + 3, own + shared, generator=random, dtype=torch.float64)
    normal = rows.mT @ rows + 0.1 * torch.eye(own + shared)
    arrow = Arrow(normal[:, :own, :own], normal[:, :own, own:], normal[:, own:, own:].sum(dim=0))
    right = torch.randn(faces * own + shared, generator=random, dtype=torch.float64)
    return arrow, Unknowns(right[: faces * own].view(faces, own), right[faces * own :])


def dense(arrow: Arrow) -> torch.Tensor:
    """The whole matrix: the faces' own unknowns one face after the other, then the shared ones."""
    border = arrow.border.flatten(0, 1)
    top = torch.cat([torch.block_diag(*arrow.own), border], dim=1)
    return torch.cat([top, torch.cat([border.mT, arrow.corner], dim=1)])


def flat(unknowns: Unknowns) -> torch.Tensor:
    return torch.cat([unknowns.own.flatten(), unknowns.shared])


@given(st.integers(0, 2**31), st.integers(1, 4), st.integers(1, 5), st.integers(0, 4))
def test_products_solutions_and_inverses_are_those_of_the_whole_matrix(seed, faces, own, shared):
    arrow, right = random_system(seed, faces, own, shared)
    whole = dense(arrow)
    assert torch.allclose(flat(arrow.times(right)), whole @ flat(right))
    assert torch.allclose(whole @ flat(arrow.solve(right)), flat(right), atol=1e-6)
    if shared:
        covariance = torch.linalg.inv(whole)[faces * own :, faces * own :]
        assert torch.allclose(arrow.shared_covariance(), covariance, atol=1e-6)


def test_held_unknowns_do_not_move():
    arrow, right = random_system(1, 3, 4, 2)
    held = torch.zeros(3, 4, dtype=torch.bool)
    held[0, 1] = held[2] = True
    solved = arrow.holding(held).solve(Unknowns(right.own * ~held, right.shared))
    free = torch.cat([~held.flatten(), torch.ones(2, dtype=torch.bool)])
    whole = dense(arrow)[free][:, free]
    assert (solved.own[held] == 0).all()
    assert torch.allclose(flat(solved)[free], torch.linalg.solve(whole, flat(right)[free]))


@pytest.mark.parametrize("shared", [0, 3])
def test_a_bounded_step_is_the_bounded_minimum(shared):
    """Two rounds mostly tell the unknowns on their bounds from the others, and come close where they do not."""
    parts = []
    for seed in range(30):
        arrow, gradient = random_system(seed, 2, 4, shared)
        low, high = torch.full((2, 3), -0.1, dtype=torch.float64), torch.full((2, 3), 0.2, dtype=torch.float64)
        low[0, 0] = 0
        step = bounded_step(arrow, gradient, low, high)
        assert (step.own[:, :3] >= low).all() and (step.own[:, :3] <= high).all()
        whole = dense(arrow)
        root = torch.linalg.cholesky(whole).mT
        target = -torch.linalg.solve(root.mT, flat(gradient))
        limits = torch.tensor([[-torch.inf], [torch.inf]], dtype=torch.float64).repeat(1, len(whole))
        for face in range(2):
            limits[0, 4 * face : 4 * face + 3], limits[1, 4 * face : 4 * face + 3] = low[face], high[face]
        best = torch.from_numpy(lsq_linear(root.numpy(), target.numpy(), limits.numpy(), tol=1e-12).x)
        mine, theirs = (flat(gradient) @ vector + vector @ whole @ vector / 2 for vector in (flat(step), best))
        parts.append(float(mine / theirs))
    assert max(parts) < 1 + 1e-6
    assert sorted(parts)[15] > 0.999
    assert sorted(parts)[6] > 0.9


def test_damping_raises_the_diagonal_alone():
    arrow, _ = random_system(0, 2, 3, 2)
    change = dense(arrow.damped(torch.tensor([0.5], dtype=torch.float64))) - dense(arrow)
    assert torch.allclose(change, torch.diag(dense(arrow).diagonal() / 2), atol=1e-8)


def test_a_system_that_is_not_definite_spoils_only_what_depends_on_it():
    arrow, right = random_system(2, 2, 3, 0)
    arrow.own[1] *= -1
    solved = arrow.solve(right)
    assert solved.own[0].isfinite().all() and solved.own[1].isnan().all()
    arrow, right = random_system(2, 2, 3, 2)
    arrow.own[1] *= -1
    assert flat(arrow.solve(right)).isnan().all()
