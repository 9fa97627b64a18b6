# SPDX-License-Identifier: GPL-3.0-or-later
"""Batched, bounded Levenberg-Marquardt with Huber weights (Madsen, Nielsen, Tingleff 2004, section 3.2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from .arrow import Arrow, Unknowns, bounded_step
from .problem import HUBER, Problem, State


def minimise(problem: Problem, state: State, steps: int, tolerance: float = 1e-4) -> State:
    """Minimise a landmark problem for B faces at once, each as if it were alone.

    Coefficients and jaw stay inside the prior's bounds (projected active set, see `bounded_step`). Each face has its
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
        candidate = inside(problem, state.moved(_step(problem, state, damping, space)))
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


@dataclass(frozen=True)
class NormalEquations:
    """Gauss-Newton Hessian and gradient of the landmarks' part of the cost: by P unknowns of the Jacobian, E others."""

    hessian: torch.Tensor
    """(B,P,P)"""
    gradient: torch.Tensor
    """(B,P)"""
    across: torch.Tensor
    """(B,P,E)"""
    other_hessian: torch.Tensor
    """(B,E,E)"""
    other_gradient: torch.Tensor
    """(B,E)"""


def normal_equations(
    residuals: torch.Tensor, jacobian: torch.Tensor, others: torch.Tensor | None = None
) -> NormalEquations:
    """The normal equations under Huber's weights.

    Args:
        residuals: (B,N,3)
        jacobian: (B,N,3,P); overwritten.
        others: (B,N,3,E) derivatives by further unknowns.
    """
    root = (HUBER / _sizes(residuals).clamp_min(HUBER)).sqrt()
    weight = torch.stack([root[..., 0], root[..., 0], root[..., 1]], dim=-1)[..., None]
    columns = residuals[..., None] if others is None else torch.cat([residuals[..., None], others], dim=-1)
    # Sums over the landmarks for x, y and depth apart: so the Jacobian's memory is read as it lies.
    rows, columns = (part.transpose(1, 2).flatten(0, 1) for part in (jacobian.mul_(weight), columns * weight))

    def summed(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        product = left.mT @ right
        return product.view(len(residuals), 3, *product.shape[1:]).sum(dim=1)

    mixed, own = summed(rows, columns), summed(columns, columns)
    return NormalEquations(summed(rows, rows), mixed[..., 0], mixed[..., 1:], own[:, 1:, 1:], own[:, 0, 1:])


def _step(problem: Problem, state: State, damping: torch.Tensor, space: torch.Tensor) -> torch.Tensor:
    residuals, prior, jacobian = problem.linearised(state, space)
    normal = normal_equations(residuals, jacobian)
    hessian, gradient = normal.hessian, normal.gradient

    bounded = prior.shape[1]
    precision = problem.prior.sigma.reciprocal()
    gradient[:, :bounded] += prior * precision
    hessian.diagonal(dim1=1, dim2=2)[:, :bounded] += precision.square()
    values = torch.cat([state.coefficients, state.jaw[:, None]], dim=1)
    matrix = Arrow.of_strangers(hessian).damped(damping)
    right = Unknowns(gradient, gradient.new_zeros(0))
    return bounded_step(matrix, right, problem.prior.low - values, problem.prior.high - values).own


def inside(problem: Problem, state: State) -> State:
    """Clamp the bounded unknowns."""
    count = state.coefficients.shape[1]
    low, high = problem.prior.low, problem.prior.high
    return State(
        coefficients=torch.maximum(torch.minimum(state.coefficients, high[:, :count]), low[:, :count]),
        jaw=torch.maximum(torch.minimum(state.jaw, high[:, count]), low[:, count]),
        rotation=state.rotation,
        camera=state.camera,
    )
