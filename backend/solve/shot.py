# SPDX-License-Identifier: GPL-3.0-or-later
"""Pass 1: one identity from many views of a person, and the focal length of a shot where nobody knows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from backend.reprojection.evidence import Evidence
from backend.reprojection.placing import place, to_array
from backend.reprojection.problem import State
from backend.reprojection.together import SharedProblem, minimise_together
from blender_addon.contract.projection import camera_matrix

from .camera import FOCAL_SIGMA, Focal
from .errors import landmark_errors

STEPS = 14
CORRELATION = 0.3
"""How much of the squared error of a landmark is the same in all views of a person: what the detector and the head's
landmarks always get wrong of that face. More views do not average it out, so the identity's prior weighs as if there
were K / (1 + (K - 1) CORRELATION) views. Measured against a plain sum: costs 0.02 mm where errors are independent,
gains 0.03 mm where 0.8 % is common to all views, and on renders seen by the detector itself."""
FOCAL_DOUBT = 12.0
"""How much less than its curvature says the cost tells of a focal length: of perspective the detector knows little, and
on renders seen by a 50 mm camera it errs towards the short end. With this the root mean square of error over standard
deviation is 1.0 on synthetic people of 24 to 135 mm at 0.4 to 3 m, and 1.2 on renders seen by the detector itself."""


@dataclass(frozen=True)
class Views:
    """Frames of one camera in which a person is seen: a shot's, or a still."""

    landmarks: np.ndarray
    """(K,478,3) full-frame pixels, depth in the scale of x"""
    blendshapes: np.ndarray
    """(K,52) scores, or whatever else the engine takes for its prior"""
    image_size: tuple[int, int]
    """width, height"""
    focal: Focal
    """Estimated where it is only assumed"""


@dataclass(frozen=True)
class Shot:
    """What all frames of a person have in common."""

    identity: np.ndarray
    """(S,) all coefficients of the head"""
    focals: tuple[Focal, ...]
    """of each group of views"""
    image_size: tuple[int, int]
    """width, height of the first group"""
    landmark_error: tuple[np.ndarray, ...]
    """(K,) of each group; see `landmark_errors`"""
    habits: np.ndarray = field(default_factory=lambda: np.zeros(0))
    """How the engine's detector always sees this person, in coefficients of its own"""

    @property
    def focal(self) -> Focal:
        """That of the first group, the shot itself."""
        return self.focals[0]


def solve_shot(evidence: Evidence, groups: Sequence[Views], correlation: float | None = None) -> Shot:
    """Find the identity under which all views together are most likely.

    The views' likelihoods are summed against one prior of the identity, whose weight allows for errors that all views
    share. The focal length of a group, where it is assumed, is one more unknown with a log-normal prior about the
    assumed one; its standard deviation comes from the posterior.

    Args:
        evidence: the engine.
        groups: views of one person, a group for each camera, the shot's own first; at least one view.
        correlation: instead of `CORRELATION`; 0 where the evidence itself allows for what is wrong in all views.
    """
    counts = [len(group.landmarks) for group in groups]
    weight = 1 + (sum(counts) - 1) * (CORRELATION if correlation is None else correlation)
    problem, start, unknown = _problem(evidence, groups, weight)
    solution = minimise_together(problem, start, STEPS)
    focals = [group.focal for group in groups]
    # The prior was made to weigh more instead of the views less; so what is left to doubt is larger by as much.
    spread = to_array(solution.zoom_sigma) * (weight * FOCAL_DOUBT) ** 0.5
    for group, zoom, sigma in zip(unknown, to_array(solution.zoom), spread, strict=True):
        focals[group] = Focal(float(focals[group].pixels * np.exp(zoom)), "estimated", float(sigma))
    size, coefficients = evidence.basis.shape_size, to_array(solution.state.coefficients)[0]
    identity = np.zeros(evidence.head.identity.shape[-1])
    identity[:size] = coefficients[:size]
    errors = landmark_errors(problem.at(solution.zoom), solution.state)
    groups_errors = tuple(np.split(errors, np.cumsum(counts)[:-1]))
    habits = coefficients[size : evidence.basis.identity_size]
    return Shot(identity, tuple(focals), groups[0].image_size, groups_errors, habits)


def _problem(evidence: Evidence, groups: Sequence[Views], weight: float) -> tuple[SharedProblem, State, list[int]]:
    """The problem, where to start, and which groups' focal lengths are unknown."""
    counts = [len(group.landmarks) for group in groups]
    matrices = [camera_matrix(group.focal.pixels, *group.image_size) for group in groups]
    placed = place(
        evidence,
        evidence.basis,
        np.concatenate([group.landmarks for group in groups]),
        np.concatenate([group.blendshapes for group in groups]),
        np.repeat(matrices, counts, axis=0),
    )
    prior, views = placed.problem.prior, sum(counts)
    sigma = prior.sigma.clone()
    sigma[:, : evidence.basis.identity_size] *= (views / weight) ** 0.5
    unknown = [row for row, group in enumerate(groups) if group.focal.origin == "assumed"]
    member = np.repeat(np.eye(len(groups)), counts, axis=0)[:, unknown]
    problem = SharedProblem(
        views=replace(placed.problem, prior=replace(prior, sigma=sigma)),
        member=sigma.new_tensor(member),
        zoom_sigma=FOCAL_SIGMA / (weight * FOCAL_DOUBT) ** 0.5,
    )
    return problem, placed.start, unknown
