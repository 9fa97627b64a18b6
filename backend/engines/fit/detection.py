# SPDX-License-Identifier: GPL-3.0-or-later
"""How the detector sees heads: what it gets wrong of a person in every view, and of a view by itself.

Its errors are not each landmark's own. Seen from inside a head they are mostly a few fields over the whole face: it
makes heads more alike than they are, it has habits with a person, and slips in a view. Solved for as further unknowns
with priors, they are not taken for shape, pose or expression (a low-rank noise covariance; Bishop 2006, section 12.2).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch

from backend.reprojection.basis import LandmarkBasis
from backend.reprojection.placing import to_array
from backend.reprojection.problem import Observation, Prior
from blender_addon.contract.head import HeadDescription

from .channels import Channels
from .evidence import BOX_SIDE, DEPTH_SIGMA, IDENTITY_SIGMA, POINT_SIGMA, landmark_weights, observe, score_prior

DETECTION_FILE = Path(__file__).with_name("detection.npz")
"""Measured on renders of random heads by `scripts/measure_detection.py`."""
CROP_METRES = 0.119
"""Half of the width that a crop shows of an average face."""
REACH = 5.0
"""Standard deviations that a habit or a slip may reach."""
SEEN_DEPTH_SIGMA = POINT_SIGMA / 0.6
"""Standard deviation of depths, as a fraction of the face box, once habits and slips are taken out of them."""
DRAWN_VIEWS = 3.0
"""Independent views as which the seen landmarks count where the head is drawn through them."""


@dataclass(frozen=True)
class Detection:
    """Errors of landmarks, metres in the head's axes."""

    person: np.ndarray
    """(K,478,3) habits with a person, the first one common to all people; one standard deviation each"""
    frame: np.ndarray
    """(L,478,3) slips in a view, one standard deviation each"""
    identity: np.ndarray
    """(R,100) and ..."""
    identity_fields: np.ndarray
    """(R,478,3): what goes with the identity is their product"""


@cache
def detection() -> Detection:
    """The measured errors."""
    with np.load(DETECTION_FILE, allow_pickle=False) as file:
        return Detection(**{name: file[name].astype(np.float64) for name in file.files})


class SeenHead:
    """A head as the detector sees it, as evidence for the solve (`backend.reprojection.evidence.Evidence`).

    Args:
        head: the head.
        channels: what scores say of its expression.
        basis: its landmarks.
    """

    def __init__(self, head: HeadDescription, channels: Channels, basis: LandmarkBasis):
        self.head = head
        self._channels = channels
        self._own, self._somebody = basis, basis.of_person(basis.mean.new_zeros(basis.identity_size))
        self._size = _size_direction(basis)
        # What goes with the identity was measured in the open head's components, and means nothing in others.
        errors = detection() if channels.turn is None else replace(detection(), identity=np.zeros((0, 0)))
        self.basis = _seen(_of_usual_size(basis, self._size), errors)

    def observe(self, basis: LandmarkBasis, seen: np.ndarray, rotation: torch.Tensor, scale: np.ndarray) -> Observation:
        """What is believed of landmarks; see `Evidence`."""
        return observe(seen, basis, rotation, scale, SEEN_DEPTH_SIGMA)

    def prior(self, basis: LandmarkBasis, scores: np.ndarray) -> Prior:
        """What is believed of coefficients, habits and slips after 52 blendshape scores (B,52); see `Evidence`."""
        shape, units = basis.shape_size, basis.expression_size - basis.slip_size
        plain = score_prior(self._channels, self._own if shape else self._somebody, scores)

        def joined(values: torch.Tensor, more: float) -> torch.Tensor:
            ahead, middle, rest = values.tensor_split([shape, shape + units], dim=1)
            habits, slips = (values.new_full((len(values), size), more) for size in (basis.habit_size, basis.slip_size))
            return torch.cat([ahead, habits, middle, slips, rest], dim=1)

        return Prior(
            mean=joined(plain.mean, 0.0),
            sigma=joined(plain.sigma, 1.0),
            low=joined(plain.low, -REACH),
            high=joined(plain.high, REACH),
        )

    def drawn(self, identity: np.ndarray, habits: np.ndarray) -> np.ndarray:
        """The identity (S,) under which the head itself lies where the detector sees it, as far as heads can.

        The seen landmarks fix the head's pose better than drawn ones; with the pose found so, a head that lies on
        the picture's landmarks is the better one to look at. Least squares in the head's axes, with the prior.
        """
        size = self.basis.shape_size
        own = to_array(_of_usual_size(self._own, self._size).basis[..., :size])
        as_seen = to_array(self.basis.basis[..., : self.basis.identity_size])
        apart = as_seen @ np.concatenate([identity[:size], habits]) - own @ identity[:size]
        axes = np.array([1, 1, (POINT_SIGMA / DEPTH_SIGMA) ** 2])
        weight = landmark_weights()[:, None] * axes * DRAWN_VIEWS / (POINT_SIGMA * BOX_SIDE * CROP_METRES) ** 2
        matrix = np.einsum("nds,nd,ndt->st", own, weight, own, optimize=True) + np.eye(size) * IDENTITY_SIGMA**-2
        right = np.einsum("nds,nd,nd->s", own, weight, apart) - identity[:size] * IDENTITY_SIGMA**-2
        change = np.linalg.solve(matrix, right)
        direction = to_array(self._size)
        result = np.array(identity)
        result[:size] += change - direction * (direction @ change)
        return result

    def near(self, identity: np.ndarray) -> HeadNear:
        """Evidence of the plain landmarks for a head as large as the average one, near an identity (S,)."""
        return HeadNear(self.head, self._channels, _of_usual_size(self._own, self._size), identity)


class HeadNear:
    """Plain evidence with the identity expected near a known one instead of near the average.

    Args:
        head: the head.
        channels: what scores say of its expression.
        basis: its landmarks.
        identity: (S,) the expected one.
    """

    def __init__(self, head: HeadDescription, channels: Channels, basis: LandmarkBasis, identity: np.ndarray):
        self.head, self.basis, self._channels = head, basis, channels
        self._identity = basis.mean.new_tensor(identity[: basis.identity_size])

    def observe(self, basis: LandmarkBasis, seen: np.ndarray, rotation: torch.Tensor, scale: np.ndarray) -> Observation:
        """What is believed of landmarks; see `Evidence`."""
        return observe(seen, basis, rotation, scale)

    def prior(self, basis: LandmarkBasis, scores: np.ndarray) -> Prior:
        """What is believed of coefficients after 52 blendshape scores (B,52); see `Evidence`."""
        plain = score_prior(self._channels, basis, scores)
        mean = plain.mean.clone()
        mean[:, : basis.identity_size] += self._identity[: basis.identity_size]
        return replace(plain, mean=mean)


def _size_direction(basis: LandmarkBasis) -> torch.Tensor:
    """(S,) unit direction of identities along which landmarks, to first order, grow the most."""
    points, moves = basis.mean - basis.mean.mean(dim=0), basis.basis[..., : basis.identity_size]
    growth = torch.einsum("nd,nds->s", points, moves - moves.mean(dim=0))
    return growth / growth.norm()


def _of_usual_size(basis: LandmarkBasis, direction: torch.Tensor) -> LandmarkBasis:
    """Heads as large as the average one: size cannot be told from distance, and what seems to tell it misleads."""
    size = basis.identity_size
    keep = torch.eye(size).to(direction) - torch.outer(direction, direction)

    def kept(values: torch.Tensor, first: int = 0) -> torch.Tensor:
        ahead, own, rest = values.tensor_split([first, first + size], dim=-1)
        return torch.cat([ahead, own @ keep, rest], dim=-1)

    return replace(
        basis,
        basis=kept(basis.basis),
        jaw_basis=kept(basis.jaw_basis),
        jaw_joint=kept(basis.jaw_joint, 1),
        root_joint=kept(basis.root_joint, 1),
        eye_joints=kept(basis.eye_joints, 1),
    )


def _seen(basis: LandmarkBasis, errors: Detection) -> LandmarkBasis:
    """The landmarks with what the detector makes of the identity, and with habits and slips as further columns."""
    shape = basis.identity_size
    moved = np.zeros((len(basis.mean), 3, shape))
    if len(errors.identity):
        moved = np.einsum("rs,rnd->nds", errors.identity[:, :shape], errors.identity_fields)
    person, frame = (np.moveaxis(part, 0, -1) for part in (errors.person, errors.frame))
    weight = basis.jaw_weight[:, None, None]

    def with_errors(values: torch.Tensor, factor: torch.Tensor | float) -> torch.Tensor:
        by_identity, habits, slips = (values.new_tensor(part) * factor for part in (moved, person, frame))
        own, units, lids = values.tensor_split([shape, shape + basis.expression_size], dim=-1)
        return torch.cat([own + by_identity, habits, units, slips, lids], dim=-1).contiguous()

    def still(joint: torch.Tensor) -> torch.Tensor:
        parts = joint.tensor_split([1 + shape, 1 + shape + basis.expression_size], dim=-1)
        habits, slips = (joint.new_zeros(*joint.shape[:-1], part.shape[-1]) for part in (person, frame))
        return torch.cat([parts[0], habits, parts[1], slips, parts[2]], dim=-1)

    return replace(
        basis,
        basis=with_errors(basis.basis, 1.0),
        jaw_basis=with_errors(basis.jaw_basis, weight),
        jaw_joint=still(basis.jaw_joint),
        root_joint=still(basis.root_joint),
        eye_joints=still(basis.eye_joints),
        identity_size=shape + person.shape[-1],
        expression_size=basis.expression_size + frame.shape[-1],
        habit_size=person.shape[-1],
        slip_size=frame.shape[-1],
    )
