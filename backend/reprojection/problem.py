# SPDX-License-Identifier: GPL-3.0-or-later
"""The landmark fit as a least-squares problem: unknowns, predicted landmarks, residuals, exact derivatives."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from backend.heads.lbs import rodrigues

from .basis import LandmarkBasis
from .cameras import Camera

HUBER = 3.0
"""Residuals beyond this many standard deviations count linearly (Huber's loss)."""


@dataclass(frozen=True)
class State:
    """The unknowns of B faces."""

    coefficients: torch.Tensor
    """(B,C) identity, expression, eyelids"""
    jaw: torch.Tensor
    """(B,) rotation about x, radians, positive opens"""
    rotation: torch.Tensor
    """(B,3,3) head rotation about the root joint"""
    camera: torch.Tensor
    """(B,3) what the camera model calls its own: s, tx, ty or a translation"""

    def moved(self, step: torch.Tensor) -> State:
        """Apply a step (B, C+1+3+3); the rotation is turned from the left by its exponential."""
        count = self.coefficients.shape[1]
        return State(
            coefficients=self.coefficients + step[:, :count],
            jaw=self.jaw + step[:, count],
            rotation=rodrigues(step[:, count + 1 : count + 4]) @ self.rotation,
            camera=self.camera + step[:, count + 4 :],
        )

    def where(self, mask: torch.Tensor, other: State) -> State:
        """This state where `mask` (B,) holds, the other elsewhere."""
        return State(
            *(
                torch.where(mask.reshape(-1, *[1] * (mine.dim() - 1)), mine, theirs)
                for mine, theirs in zip(self.tensors(), other.tensors(), strict=True)
            )
        )

    def tensors(self) -> tuple[torch.Tensor, ...]:
        return self.coefficients, self.jaw, self.rotation, self.camera


@dataclass(frozen=True)
class Observation:
    """What was seen of B faces, in crop NDC (x right, y down, [-1,1] across the crop)."""

    points: torch.Tensor
    """(B,N,2)"""
    depth: torch.Tensor
    """(B,N) relative, the same scale as x, smaller is nearer"""
    sigma: torch.Tensor
    """(B,N) standard deviation of a point; infinity for a point that was not seen"""
    depth_sigma: torch.Tensor
    """(B,N)"""


@dataclass(frozen=True)
class Prior:
    """Independent normal priors with bounds, over coefficients and jaw (B, C+1)."""

    mean: torch.Tensor
    sigma: torch.Tensor
    low: torch.Tensor
    high: torch.Tensor


@dataclass(frozen=True)
class Problem:
    """Landmarks of a head under a camera, against observations and a prior."""

    basis: LandmarkBasis
    camera: Camera
    observation: Observation
    prior: Prior

    def residuals(self, state: State) -> tuple[torch.Tensor, torch.Tensor]:
        """Landmark residuals (B,N,3) in standard deviations (x, y, relative depth) and prior residuals (B,C+1)."""
        posed = posed_landmarks(self.basis, state)
        points, depth = self.camera.project(posed, state.camera)
        return self._weighted(points, depth), self._prior(state)

    def linearised(
        self, state: State, space: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Residuals as `residuals` gives them, and the Jacobian (B,N,3,C+7) of the landmark residuals.

        Args:
            space: where to put the Jacobian, as `space` made it; fresh memory costs as much as filling it.
        """
        posed = posed_landmarks(self.basis, state)
        points, depth, by_point, by_camera = self.camera.linearise(posed, state.camera)
        jacobian = through_landmarks(self.basis, state, by_point, by_camera, space)
        return self._weighted(points, depth), self._prior(state), self.scaled(jacobian)

    def space(self) -> torch.Tensor:
        """Memory for the Jacobian of `linearised`."""
        faces, count = self.observation.sigma.shape
        return self.basis.mean.new_empty(count, 3 * faces, self.basis.basis.shape[-1] + 7)

    def scaled(self, derivative: torch.Tensor) -> torch.Tensor:
        """Derivatives (B,N,3,P) of (x, y, depth) to those of the residuals, in place."""
        derivative[:, :, 2] -= self._mean_depth(derivative[:, :, 2])
        scale = torch.stack([1 / self.observation.sigma] * 2 + [1 / self.observation.depth_sigma], dim=-1)
        return derivative.mul_(scale[..., None])

    def _weighted(self, points: torch.Tensor, depth: torch.Tensor) -> torch.Tensor:
        seen = self.observation
        offset = depth - seen.depth
        offset = offset - self._mean_depth(offset)
        return torch.cat([(points - seen.points) / seen.sigma[..., None], (offset / seen.depth_sigma)[..., None]], -1)

    def _mean_depth(self, values: torch.Tensor) -> torch.Tensor:
        """Mean over the landmarks (B,N,...), weighted by what the depth is trusted: only relative depth is observed."""
        weight = self.observation.depth_sigma.reciprocal().square()
        weight = weight / weight.sum(dim=1, keepdim=True).clamp_min(1e-20)
        columns = values[..., None] if values.dim() == 2 else values
        return (weight[:, None] @ columns).reshape(len(values), 1, *values.shape[2:])

    def _prior(self, state: State) -> torch.Tensor:
        values = torch.cat([state.coefficients, state.jaw[:, None]], dim=1)
        return (values - self.prior.mean) / self.prior.sigma


def jaw_rotation(angle: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(B,) angles about x to R - I (B,3,3) and its derivative (B,3,3)."""
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)

    def matrix(c: torch.Tensor, s: torch.Tensor) -> torch.Tensor:
        return torch.stack([zero, zero, zero, zero, c, -s, zero, s, c], dim=-1).reshape(-1, 3, 3)

    return matrix(cos - 1, sin), matrix(-sin, cos)


def posed_landmarks(basis: LandmarkBasis, state: State) -> torch.Tensor:
    """(B,N,3) landmarks of the posed head, metres, head space."""
    turn, _ = jaw_rotation(state.jaw)
    shaped, arm = _shaped(basis, state, turn)
    root = joints(basis.root_joint, state)[:, None]
    return (shaped + arm @ turn.mT - root) @ state.rotation.mT + root


def through_landmarks(
    basis: LandmarkBasis,
    state: State,
    by_point: torch.Tensor,
    by_camera: torch.Tensor,
    space: torch.Tensor | None = None,
) -> torch.Tensor:
    """The chain rule through `posed_landmarks`.

    Args:
        by_point: (B,N,3,3) derivative of something by the posed landmarks.
        by_camera: (B,N,3,3) its derivative by the camera.
        space: (N,3B,C+7) memory for the result.

    Returns:
        (B,N,3,C+7) its derivative by coefficients, jaw angle, a left rotation and the camera, a view of (N,3B,C+7).
    """
    turn, turn_by = jaw_rotation(state.jaw)
    shaped, arm = _shaped(basis, state, turn)
    root = joints(basis.root_joint, state)[:, None]
    centred = (shaped + arm @ turn.mT - root) @ state.rotation.mT
    by_jaw = _correct(basis.correctives, turn_by) + arm @ turn_by.mT
    by_jaw = by_jaw + _correct(basis.jaw_correctives, turn_by) @ turn.mT

    turned = _times(by_point, state.rotation)
    factors = torch.cat(
        [
            turned,
            _times(turned, turn),
            by_point - turned,
            (turned * by_jaw[:, :, None]).sum(dim=-1, keepdim=True),
            torch.linalg.cross(centred[:, :, None].expand_as(by_point), by_point),
            by_camera,
        ],
        dim=-1,
    )
    # One small product a landmark for all faces at once; (B,N,3,C) derivatives of the landmarks are never made.
    faces, count, _, width = factors.shape
    by_landmark = factors.transpose(0, 1).reshape(count, 3 * faces, width)
    result = torch.bmm(by_landmark, basis.stacked, out=space)
    return result.view(count, faces, 3, result.shape[-1]).transpose(0, 1)


def _times(rows: torch.Tensor, matrices: torch.Tensor) -> torch.Tensor:
    """(B,N,3,3) rows times (B,3,3), as one product a face."""
    return (rows.flatten(1, 2) @ matrices).view(rows.shape)


def _shaped(basis: LandmarkBasis, state: State, turn: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Unskinned landmarks, and their arms from the jaw joint weighted by the jaw's skinning, both (B,N,3)."""
    shaped = basis.mean + torch.einsum("ndc,bc->bnd", basis.basis, state.coefficients)
    jawed = basis.jaw_mean + torch.einsum("ndc,bc->bnd", basis.jaw_basis, state.coefficients)
    arm = jawed + _correct(basis.jaw_correctives, turn)
    arm = arm - basis.jaw_weight[:, None] * joints(basis.jaw_joint, state)[:, None]
    return shaped + _correct(basis.correctives, turn), arm


def _correct(correctives: torch.Tensor, feature: torch.Tensor) -> torch.Tensor:
    """(9,N,3) correctives by (B,3,3) pose features to (B,N,3)."""
    return torch.einsum("fnd,bf->bnd", correctives, feature.flatten(1))


def posed_eyes(basis: LandmarkBasis, state: State, irises: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Eye joints of the posed head (B,2,3), and iris centres at rest relative to them, both in head space."""
    centres = torch.stack([joints(joint, state) for joint in basis.eye_joints], dim=1)
    rest = basis.mean[irises] + torch.einsum("ndc,bc->bnd", basis.basis[irises], state.coefficients)
    root = joints(basis.root_joint, state)[:, None]
    return (centres - root) @ state.rotation.mT + root, rest - centres


def joints(joint: torch.Tensor, state: State) -> torch.Tensor:
    """(B,3) positions of a joint (3,1+C) before any rotation."""
    return joint[:, 0] + state.coefficients @ joint[:, 1:].mT
