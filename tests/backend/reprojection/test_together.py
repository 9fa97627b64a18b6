# SPDX-License-Identifier: GPL-3.0-or-later
"""Views solved together: the matrices against automatic differentiation, the solution against the conditions of one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from backend.engines.fit.fit import LandmarkFit
from backend.heads import load_head
from backend.heads.model import HeadModel
from backend.reprojection.arrow import Unknowns
from backend.reprojection.basis import landmark_basis
from backend.reprojection.cameras import WeakPerspective
from backend.reprojection.placing import place
from backend.reprojection.problem import State
from backend.reprojection.together import SharedProblem, minimise_together
from tests.synthetic import make_person

IDENTITY = 20
VIEWS = 4
MEMBER = [[1.0, 0.0], [0.0, 0.0], [0.0, 1.0], [0.0, 1.0]]
"""One view of a camera of unknown focal length, one of a known one, two of another unknown one."""


class Engine(LandmarkFit):
    """The landmark fit in double precision with few identity components."""

    def __init__(self, head):
        super().__init__(head)
        self.basis = landmark_basis(head, "mediapipe478", IDENTITY, dtype=torch.float64)


@pytest.fixture(scope="module")
def engine():
    return Engine(load_head("open"))


@pytest.fixture(scope="module")
def person(engine):
    return make_person(engine.head, HeadModel(engine.head), 3, VIEWS, focal_mm=40.0, distance=0.6)


@pytest.fixture(scope="module")
def start(engine, person) -> tuple[SharedProblem, State]:
    placed = place(engine, engine.basis, person.landmarks, person.scores, person.matrix)
    member = torch.tensor(MEMBER, dtype=torch.float64)
    return SharedProblem(placed.problem, member, 0.2), placed.start


def flat(unknowns: Unknowns) -> torch.Tensor:
    return torch.cat([unknowns.own.flatten(), unknowns.shared])


def split(vector: torch.Tensor, state: State) -> Unknowns:
    own = state.coefficients.shape[1] + 7 - IDENTITY
    return Unknowns(vector[: VIEWS * own].view(VIEWS, own), vector[VIEWS * own :])


def unbounded(problem: SharedProblem) -> SharedProblem:
    prior = problem.views.prior
    wide = torch.full_like(prior.low, 1e3)
    return replace(problem, views=replace(problem.views, prior=replace(prior, low=-wide, high=wide)))


def test_the_gradient_is_that_of_the_cost(start):
    problem, state = unbounded(start[0]), start[1]
    random = torch.Generator().manual_seed(0)
    state = replace(state, coefficients=state.coefficients + 0.05)
    zoom = torch.tensor([0.1, -0.2], dtype=torch.float64)
    _, gradient = problem.normal_equations(state, zoom)
    size = len(flat(gradient))

    def cost(vector):
        return problem.cost(*problem.moved(state, zoom, split(vector, state)))

    for direction in torch.randn(5, size, generator=random, dtype=torch.float64):
        _, expected = torch.func.jvp(cost, (torch.zeros(size, dtype=torch.float64),), (direction,))
        assert float(flat(gradient) @ direction) == pytest.approx(float(expected), rel=1e-6)


def test_the_matrix_is_that_of_all_residuals_written_out(start):
    problem, state = unbounded(start[0]), start[1]
    # Residuals small enough that Huber's loss is a sum of squares.
    seen = replace(problem.views.observation, sigma=problem.views.observation.sigma * 1e3)
    seen = replace(seen, depth_sigma=seen.depth_sigma * 1e3)
    problem = replace(problem, views=replace(problem.views, observation=seen))
    zoom = torch.tensor([0.1, -0.2], dtype=torch.float64)
    matrix, gradient = problem.normal_equations(state, zoom)
    zero = torch.zeros(len(flat(gradient)), dtype=torch.float64)

    def residuals(vector):
        moved, zoomed = problem.moved(state, zoom, split(vector, state))
        landmarks, prior = problem.at(zoomed).residuals(moved)
        return torch.cat([landmarks.flatten(), prior.flatten(), zoomed / problem.zoom_sigma])

    jacobian = torch.func.jacfwd(residuals)(zero)
    border = matrix.border.flatten(0, 1)
    whole = torch.cat([torch.cat([torch.block_diag(*matrix.own), border], 1), torch.cat([border.mT, matrix.corner], 1)])
    assert torch.allclose(whole, jacobian.mT @ jacobian, rtol=1e-6, atol=1e-6)
    assert torch.allclose(flat(gradient), jacobian.mT @ residuals(zero), rtol=1e-6, atol=1e-6)


def test_at_the_solution_the_cost_falls_only_across_bounds(start):
    problem, state = start
    found = minimise_together(problem, state, 100, tolerance=1e-13)
    _, gradient = problem.normal_equations(found.state, found.zoom)
    scale = torch.cat([problem.views.prior.sigma[0, :IDENTITY], torch.full((2,), 0.2, dtype=torch.float64)])
    assert (gradient.shared * scale).abs().max() < 0.02
    low, high = problem.bounds(found.state)
    inner = gradient.own[:, : low.shape[1]] * problem.views.prior.sigma[:, IDENTITY:]
    assert (low >= 0).any()
    assert inner[(low < 0) & (high > 0)].abs().max() < 0.02
    assert inner[low >= 0].min() > -0.02
    identity = found.state.coefficients[:, :IDENTITY]
    assert (identity == identity[0]).all()


def test_few_steps_reach_the_solution_and_the_cost_never_rises(start):
    problem, state = start
    costs = []
    for steps in range(9):
        found = minimise_together(problem, state, steps)
        costs.append(float(problem.cost(found.state, found.zoom)))
    assert (np.diff(costs) <= 0).all()
    best = minimise_together(problem, state, 100, tolerance=1e-13)
    assert costs[-1] / float(problem.cost(best.state, best.zoom)) < 1.001


def test_the_order_of_views_does_not_matter(engine, person, start):
    problem, state = start
    order = [2, 0, 3, 1]
    placed = place(engine, engine.basis, person.landmarks[order], person.scores[order], person.matrix)
    other = SharedProblem(placed.problem, problem.member[order], problem.zoom_sigma)
    mine = minimise_together(problem, state, 30, tolerance=1e-12)
    theirs = minimise_together(other, placed.start, 30, tolerance=1e-12)
    assert torch.allclose(mine.state.coefficients[order], theirs.state.coefficients, atol=1e-5)
    assert torch.allclose(mine.zoom, theirs.zoom, atol=1e-5)
    assert torch.allclose(mine.zoom_sigma, theirs.zoom_sigma, rtol=1e-4)


def test_a_tighter_prior_holds_the_focal_length(start):
    problem, state = start
    free, tight = (minimise_together(replace(problem, zoom_sigma=sigma), state, 30) for sigma in (0.5, 0.01))
    assert (tight.zoom.abs() < 0.2 * free.zoom.abs()).all()
    assert (tight.zoom_sigma <= 0.01).all() and (free.zoom_sigma > 0.02).all()


def test_weak_perspective_has_no_focal_length(start):
    with pytest.raises(TypeError):
        replace(start[0], views=replace(start[0].views, camera=WeakPerspective()))
