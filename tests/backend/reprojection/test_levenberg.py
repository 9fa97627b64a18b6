# SPDX-License-Identifier: GPL-3.0-or-later
"""The minimiser on landmark problems: it gets to the minimum, within bounds, each face as if alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from backend.engines.fit.channels import expression_channels
from backend.engines.fit.evidence import observe, score_prior
from backend.engines.fit.fit import EMBEDDING, IDENTITY_SIZE, WEAK_STEPS
from backend.faces.crops import crop_transforms
from backend.heads import load_head
from backend.heads.model import HeadModel
from backend.reprojection.basis import landmark_basis
from backend.reprojection.cameras import WeakPerspective
from backend.reprojection.levenberg import minimise, total_cost
from backend.reprojection.placing import in_crop
from backend.reprojection.problem import Problem, State
from backend.reprojection.start import align
from tests.synthetic import Truth, make_truth

OUTLIERS = slice(200, 230)


@pytest.fixture(scope="module")
def head():
    return load_head("open")


@pytest.fixture(scope="module")
def basis(head):
    return landmark_basis(head, EMBEDDING, IDENTITY_SIZE, dtype=torch.float64)


@pytest.fixture(scope="module")
def truths(head):
    """Faces, easy and hard: some exact, some with noise, some with landmarks far off."""
    model, faces = HeadModel(head), []
    for seed, noise in enumerate((0, 0, 0.02, 0.04)):
        truth = make_truth(head, model, seed, noise)
        if seed % 2:
            truth.landmarks[OUTLIERS, :2] += 60
        faces.append(truth)
    return faces


def problem_of(head, basis, truths: list[Truth]) -> tuple[Problem, State]:
    """The problem that `LandmarkFit.estimate` solves, and where it starts."""
    landmarks = np.stack([truth.landmarks for truth in truths])
    seen = in_crop(landmarks, crop_transforms(landmarks))
    rotation, camera = align(basis.mean.numpy(), seen, basis.root_joint[:, 0].numpy())
    prior = score_prior(expression_channels(head), basis, np.stack([truth.scores for truth in truths]))
    rotation = torch.from_numpy(rotation)
    start = State(prior.mean[:, :-1], prior.mean[:, -1], rotation, torch.from_numpy(camera))
    return Problem(basis, WeakPerspective(), observe(seen, basis, rotation, camera[:, 0]), prior), start


def test_few_steps_reach_the_minimum(head, basis, truths):
    problem, start = problem_of(head, basis, truths)
    few = total_cost(problem, minimise(problem, start, WEAK_STEPS))
    many = total_cost(problem, minimise(problem, start, 100, tolerance=1e-9))
    assert (few / many - 1).max() < 2e-3


def test_at_the_minimum_the_cost_falls_only_across_bounds(head, basis, truths):
    """The gradient of the cost itself, Huber's part included, by automatic differentiation."""
    problem, start = problem_of(head, basis, truths)
    found = minimise(problem, start, 100, tolerance=1e-12)
    step = torch.zeros(len(truths), found.coefficients.shape[1] + 7, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(total_cost(problem, found.moved(step)).sum(), step)
    values = torch.cat([found.coefficients, found.jaw[:, None]], dim=1)
    inner = gradient[:, : values.shape[1]] * problem.prior.sigma
    low, high = values <= problem.prior.low, values >= problem.prior.high
    assert low.any()
    assert inner[~low & ~high].abs().max() < 0.02
    assert inner[low].min() > -0.02
    assert (inner[high] < 0.02).all()


def test_landmarks_far_off_do_not_pull_the_face(head, basis, truths):
    """Huber's loss: with squares alone the error of the good landmarks grows more than fourfold."""
    good = np.ones(478, bool)
    good[OUTLIERS] = False
    problem, start = problem_of(head, basis, [truths[1]])
    found = minimise(problem, start, WEAK_STEPS)
    residuals = problem.residuals(found)[0][0, good, :2].norm(dim=-1)
    assert residuals.median() < 0.4


def test_a_face_is_the_same_alone_and_among_harder_ones(head, basis, truths):
    together = minimise(*problem_of(head, basis, truths), 30)
    for row, truth in enumerate(truths):
        alone = minimise(*problem_of(head, basis, [truth]), 30)
        for mine, theirs in zip(alone.tensors(), together.tensors(), strict=True):
            assert torch.allclose(mine[0], theirs[row], atol=1e-8)


def test_the_cost_never_rises(head, basis, truths):
    problem, start = problem_of(head, basis, truths)
    far = State(start.coefficients, start.jaw, start.rotation.mT, start.camera * 0.3)
    costs = torch.stack([total_cost(problem, minimise(problem, far, steps)) for steps in range(8)])
    assert (costs.diff(dim=0) <= 0).all()
    assert (costs[-1] < 0.2 * costs[0]).all()


def test_a_system_that_cannot_be_solved_does_not_end_the_search(head, basis, truths, monkeypatch):
    problem, start = problem_of(head, basis, truths[:1])
    factorise, calls = torch.linalg.cholesky_ex, []

    def failing_at_first(matrices):
        factor, failed = factorise(matrices)
        calls.append(failed)
        return (factor, failed + 1) if len(calls) <= 2 else (factor, failed)

    monkeypatch.setattr(torch.linalg, "cholesky_ex", failing_at_first)
    assert total_cost(problem, minimise(problem, start, 10)) < 0.5 * total_cost(problem, start)


def test_no_faces_are_no_faces(head, basis, truths):
    problem, start = problem_of(head, basis, truths[:1])
    empty = State(*(part[:0] for part in start.tensors()))
    none = torch.zeros(0, 478, 3, dtype=torch.float64)
    prior = score_prior(expression_channels(head), basis, np.zeros((0, 52)))
    observation = observe(none.numpy(), basis, empty.rotation, np.zeros(0))
    assert len(minimise(Problem(basis, problem.camera, observation, prior), empty, 3).jaw) == 0
