# SPDX-License-Identifier: GPL-3.0-or-later
"""Many views of one person solved together: one identity, and one focal length for the views of an unknown camera."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from .arrow import Arrow, Unknowns, bounded_step
from .cameras import Perspective
from .levenberg import inside, normal_equations, total_cost
from .problem import Problem, State, posed_landmarks


@dataclass(frozen=True)
class SharedProblem:
    """B views of one person under pinhole cameras, some of unknown focal length."""

    views: Problem
    """Its camera is `Perspective` at the guessed focal lengths. Its prior on the identity is a view's share of it: as
    the views' costs are summed, its standard deviation is sqrt(B) times as large as the prior of the person."""
    member: torch.Tensor
    """(B,G) 1 where a view was seen by the camera g of unknown focal length, else 0"""
    zoom_sigma: float
    """Standard deviation of the logarithm of an unknown focal length about the guess"""

    def __post_init__(self) -> None:
        if not isinstance(self.views.camera, Perspective):
            raise TypeError("views share a focal length under a perspective camera alone")

    def at(self, zoom: torch.Tensor) -> Problem:
        """The views with cameras whose focal lengths are `exp(zoom)` (G,) times the guessed ones."""
        return replace(self.views, camera=self.views.camera.zoomed(self.member @ zoom))

    def cost(self, state: State, zoom: torch.Tensor) -> torch.Tensor:
        return total_cost(self.at(zoom), state).sum() + 0.5 * (zoom / self.zoom_sigma).square().sum()

    def normal_equations(
        self, state: State, zoom: torch.Tensor, space: torch.Tensor | None = None
    ) -> tuple[Arrow, Unknowns]:
        """Gauss-Newton matrix and gradient of the cost; shared are the identity, then the zooms."""
        problem, count = self.at(zoom), self.views.basis.identity_size
        residuals, prior, jacobian = problem.linearised(state, space)
        posed = posed_landmarks(problem.basis, state)
        by_zoom = problem.scaled(problem.camera.by_zoom(posed, state.camera)[..., None])
        normal = normal_equations(residuals, jacobian, by_zoom)
        precision, bounded = problem.prior.sigma.reciprocal(), prior.shape[1]
        normal.hessian.diagonal(dim1=1, dim2=2)[:, :bounded] += precision.square()
        normal.gradient[:, :bounded] += prior * precision

        across = normal.across * self.member[:, None]
        corner = torch.cat(
            [
                torch.cat([normal.hessian[:, :count, :count], across[:, :count]], dim=2).sum(dim=0),
                torch.cat(
                    [across[:, :count].sum(dim=0).mT, torch.diag(self.member.mT @ normal.other_hessian[:, 0, 0])], dim=1
                ),
            ]
        )
        corner.diagonal()[count:] += self.zoom_sigma**-2
        by_zooms = self.member.mT @ normal.other_gradient[:, 0] + zoom * self.zoom_sigma**-2
        arrow = Arrow(
            own=normal.hessian[:, count:, count:],
            border=torch.cat([normal.hessian[:, count:, :count], across[:, count:]], dim=2),
            corner=corner,
        )
        shared = torch.cat([normal.gradient[:, :count].sum(dim=0), by_zooms])
        return arrow, Unknowns(normal.gradient[:, count:], shared)

    def bounds(self, state: State) -> tuple[torch.Tensor, torch.Tensor]:
        """How far down and up (B,K) the views' own bounded unknowns can move."""
        count, prior = self.views.basis.identity_size, self.views.prior
        values = torch.cat([state.coefficients, state.jaw[:, None]], dim=1)
        return (prior.low - values)[:, count:], (prior.high - values)[:, count:]

    def moved(self, state: State, zoom: torch.Tensor, step: Unknowns) -> tuple[State, torch.Tensor]:
        """Apply a step: zooming takes the head along, so that its size in the picture stays."""
        count = self.views.basis.identity_size
        change = step.shared[count:]
        camera = self.at(zoom).camera.dollied(
            posed_landmarks(self.views.basis, state), state.camera, self.member @ change
        )
        identity = step.shared[:count].expand(len(step.own), count)
        moved = replace(state, camera=camera).moved(torch.cat([identity, step.own], dim=1))
        return inside(self.views, moved), zoom + change


@dataclass(frozen=True)
class SharedSolution:
    """The views' states, with the same identity in each, and the cameras that were unknown."""

    state: State
    zoom: torch.Tensor
    """(G,) logarithm of the focal length over the guess"""
    zoom_sigma: torch.Tensor
    """(G,) its standard deviation by the curvature of the cost"""


def minimise_together(problem: SharedProblem, state: State, steps: int, tolerance: float = 1e-4) -> SharedSolution:
    """Levenberg-Marquardt as `minimise` does it, over all views at once.

    Args:
        state: where to start; the identity must be the same in all views.
        steps: linearisations at most.
        tolerance: done when a step changes the cost by less than this part.
    """
    zoom = state.jaw.new_zeros(problem.member.shape[1])
    damping = torch.full_like(state.jaw[:1], 1e-3)
    cost, space = problem.cost(state, zoom), problem.views.space()
    matrix, gradient = problem.normal_equations(state, zoom, space)
    for _ in range(steps):
        step = bounded_step(matrix.damped(damping), gradient, *problem.bounds(state))
        candidate, candidate_zoom = problem.moved(state, zoom, step)
        candidate_cost = problem.cost(candidate, candidate_zoom)
        gain = float(cost - candidate_cost)
        if gain > 0:
            state, zoom, cost = candidate, candidate_zoom, candidate_cost
            matrix, gradient = problem.normal_equations(state, zoom, space)
        damping = (damping / 5 if gain > 0 else damping * 8).clamp(1e-7, 1e7)
        if abs(gain) <= tolerance * float(cost):
            break
    return SharedSolution(state, zoom, _zoom_sigma(problem, state, matrix, gradient))


def _zoom_sigma(problem: SharedProblem, state: State, matrix: Arrow, gradient: Unknowns) -> torch.Tensor:
    """(G,) with the unknowns that rest on a bound, and are pushed beyond it, held there."""
    low, high = problem.bounds(state)
    push = gradient.own[:, : low.shape[1]]
    resting = ((low >= 0) & (push > 0)) | ((high <= 0) & (push < 0))
    held = torch.cat([resting, resting.new_zeros(len(low), gradient.own.shape[1] - low.shape[1])], dim=1)
    variance = matrix.holding(held).shared_covariance().diagonal()[problem.views.basis.identity_size :]
    return variance.sqrt().to(state.jaw)
