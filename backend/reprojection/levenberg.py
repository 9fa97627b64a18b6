# SPDX-License-Identifier: GPL-3.0-or-later
"""Batched, bounded Levenberg-Marquardt with Huber weights (Madsen, Nielsen, Tingleff 2004, section 3.2)."""

from __future__ import annotations

import torch

from .problem import HUBER, Problem, State

PASSES = 2
"""How often the unknowns on their bounds are told from the free ones, a step."""


def minimise(problem: Problem, state: State, steps: int, tolerance: float = 1e-4) -> State:
    """Minimise a landmark problem for B faces at once, each as if it were alone.

    Coefficients and jaw stay inside the prior's bounds (projected active set, see `_bounded_step`). Each face has its
    own damping; a step that does not help is not taken.

    Args:
        steps: linearisations at most.
        tolerance: a face is done, and stays as it is, when a step changes its cost by less than this part.
    """
    damping = torch.full_like(state.jaw, 1e-3)
    cost = total_cost(problem, state)
    done = torch.zeros_like(state.jaw, dtype=torch.bool)
    space = problem.space()
    for _ in range(steps):
        candidate = _inside(problem, state.moved(_step(problem, state, damping, space)))
        candidate_cost = total_cost(problem, candidate)
        better = (candidate_cost < cost) & ~done
        done |= (cost - candidate_cost).abs() <= tolerance * cost
        state = candidate.where(better, state)
        cost = torch.where(better, candidate_cost, cost)
        damping = torch.where(better, damping / 5, damping * 8).clamp(1e-7, 1e7)
        if bool(done.all()):
            break
    return state


def total_cost(problem: Problem, state: State) -> torch.Tensor:
    """(B,) half the sum of Huber's loss over the landmarks and of the squared prior residuals."""
    residuals, prior = problem.residuals(state)
    size = _sizes(residuals)
    huber = torch.where(size <= HUBER, size.square(), 2 * HUBER * size - HUBER**2)
    return 0.5 * (huber.sum(dim=(1, 2)) + prior.square().sum(dim=1))


def _sizes(residuals: torch.Tensor) -> torch.Tensor:
    """(B,N,2) length of the image residual and of the depth residual of each landmark."""
    image = residuals[..., :2].square().sum(dim=-1).clamp_min(1e-12).sqrt()
    return torch.stack([image, residuals[..., 2].abs()], dim=-1)


def normal_equations(residuals: torch.Tensor, jacobian: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Gauss-Newton Hessians (B,P,P) and gradients (B,P) of the landmarks' part of the cost.

    Args:
        residuals: (B,N,3)
        jacobian: (B,N,3,P); overwritten.
    """
    root = (HUBER / _sizes(residuals).clamp_min(HUBER)).sqrt()
    weight = torch.stack([root[..., 0], root[..., 0], root[..., 1]], dim=-1)
    # Sums over the landmarks for x, y and depth apart: so the Jacobian's memory is read as it lies.
    rows = jacobian.mul_(weight[..., None]).transpose(1, 2).flatten(0, 1)
    weighted = (residuals * weight).transpose(1, 2).flatten(0, 1)[..., None]
    faces, width = len(residuals), rows.shape[-1]
    hessian = (rows.mT @ rows).view(faces, 3, width, width).sum(dim=1)
    return hessian, (rows.mT @ weighted).view(faces, 3, width).sum(dim=1)


def _step(problem: Problem, state: State, damping: torch.Tensor, space: torch.Tensor) -> torch.Tensor:
    residuals, prior, jacobian = problem.linearised(state, space)
    hessian, gradient = normal_equations(residuals, jacobian)

    bounded = prior.shape[1]
    precision = problem.prior.sigma.reciprocal()
    gradient[:, :bounded] += prior * precision
    diagonal = hessian.diagonal(dim1=1, dim2=2)
    diagonal[:, :bounded] += precision.square()

    diagonal += damping[:, None] * diagonal + 1e-9
    values = torch.cat([state.coefficients, state.jaw[:, None]], dim=1)
    return _bounded_step(hessian, gradient, problem.prior.low - values, problem.prior.high - values)


def _bounded_step(hessian: torch.Tensor, gradient: torch.Tensor, low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
    """The step (B,P) that minimises g s + s H s / 2 while its first unknowns stay between low <= 0 and high >= 0.

    An unknown that rests on a bound and is pushed outwards is held there; one that the step would carry across a bound
    is held on it while the rest is solved for again. `PASSES` rounds of this come close to the minimum.
    """
    bounded = low.shape[1]
    outwards = ((low >= 0) & (gradient[:, :bounded] > 0)) | ((high <= 0) & (gradient[:, :bounded] < 0))
    held = torch.cat([outwards, outwards.new_zeros(len(low), gradient.shape[1] - bounded)], dim=1)
    step = torch.zeros_like(gradient)
    for _ in range(PASSES):
        free = (~held).to(hessian)
        remaining = gradient + (hessian @ step[..., None])[..., 0]
        reduced = hessian * free[:, :, None] * free[:, None, :] + torch.diag_embed(1 - free)
        target = step - _solve(reduced, remaining * free)
        step = target.clone()
        step[:, :bounded] = torch.maximum(torch.minimum(target[:, :bounded], high), low)
        held |= step != target
    return step


def _solve(matrices: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    """Solve B positive definite systems in double precision; not a number where one is not.

    MPS has no double precision, so it is done on the CPU there; the systems are small.
    """
    place = torch.device("cpu") if matrices.device.type == "mps" else matrices.device
    factor, failed = torch.linalg.cholesky_ex(matrices.to(place).double())
    solved = torch.cholesky_solve(vectors.to(place).double()[..., None], factor)[..., 0]
    return torch.where(failed[:, None] == 0, solved, torch.nan).to(vectors)


def _inside(problem: Problem, state: State) -> State:
    """Clamp the bounded unknowns."""
    count = state.coefficients.shape[1]
    low, high = problem.prior.low, problem.prior.high
    return State(
        coefficients=torch.maximum(torch.minimum(state.coefficients, high[:, :count]), low[:, :count]),
        jaw=torch.maximum(torch.minimum(state.jaw, high[:, count]), low[:, count]),
        rotation=state.rotation,
        camera=state.camera,
    )
