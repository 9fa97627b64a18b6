# SPDX-License-Identifier: GPL-3.0-or-later
"""The head model seen only at its landmarks: small linear bases whose jaw rotation and derivative are exact.

A landmark is a barycentric mix of three skinned vertices. With the jaw as the only moving bone, linear blend skinning
of such a mix is (R - I) (sum b w v - (sum b w) J) added to sum b v, so two bases, one plain and one weighted by the
jaw's skinning, replace the mesh without approximation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch

from blender_addon.contract.head import HeadDescription

from .roles import MEDIAPIPE, Roles

JAW = 2
ROOT = 0


@dataclass(frozen=True)
class LandmarkBasis:
    """N landmarks as functions of C linear coefficients (identity, expression, eyelids in that order) and the jaw."""

    mean: torch.Tensor
    """(N,3) metres"""
    basis: torch.Tensor
    """(N,3,C)"""
    jaw_mean: torch.Tensor
    """(N,3) positions weighted by the jaw's skinning"""
    jaw_basis: torch.Tensor
    """(N,3,C)"""
    jaw_weight: torch.Tensor
    """(N,)"""
    correctives: torch.Tensor
    """(9,N,3) jaw pose correctives"""
    jaw_correctives: torch.Tensor
    """(9,N,3) the same weighted by the jaw's skinning"""
    jaw_joint: torch.Tensor
    """(3,1+C) jaw joint: mean, then its derivative"""
    root_joint: torch.Tensor
    """(3,1+C)"""
    eye_joints: torch.Tensor
    """(2,3,1+C) left, right"""
    normals: torch.Tensor
    """(N,3) unit normals of the mean"""
    identity_size: int
    expression_size: int
    habit_size: int = 0
    """How many of the identity's coefficients, its last ones, move landmarks without being of the head."""
    slip_size: int = 0
    """The same of the expression."""
    expression_turn: torch.Tensor | None = None
    """(E,K) orthonormal: the expression's coefficients here to the head's own channels; None where they are the same"""
    roles: Roles = MEDIAPIPE

    @cached_property
    def stacked(self) -> torch.Tensor:
        """(N,16,C+7) what multiplies the factors of `problem.through_landmarks`.

        Rows of the linear part turned with the head, of the part turned with the jaw too, and of the root joint, about
        which the head turns; then seven rows that hand the other unknowns through.
        """
        arm = self.jaw_basis - self.jaw_weight[:, None, None] * self.jaw_joint[:, 1:]
        linear = torch.cat([self.basis, arm, self.root_joint[:, 1:].expand_as(self.basis)], dim=1)
        through = torch.eye(7, dtype=linear.dtype, device=linear.device).expand(len(linear), 7, 7)
        return torch.cat(
            [
                torch.cat([linear, linear.new_zeros(len(linear), 9, 7)], dim=2),
                torch.cat([linear.new_zeros(len(linear), 7, linear.shape[-1]), through], dim=2),
            ],
            dim=1,
        )

    def turned(self, turn: torch.Tensor) -> LandmarkBasis:
        """The same landmarks by other coefficients of the expression, `turn` (E,K) times which are the head's own."""
        first, count = self.identity_size, self.expression_size

        def own(values: torch.Tensor, ahead: int = 0) -> torch.Tensor:
            before, channels, after = values.tensor_split([ahead + first, ahead + first + count], dim=-1)
            return torch.cat([before, channels @ turn, after], dim=-1).contiguous()

        return replace(
            self,
            basis=own(self.basis),
            jaw_basis=own(self.jaw_basis),
            jaw_joint=own(self.jaw_joint, 1),
            root_joint=own(self.root_joint, 1),
            eye_joints=own(self.eye_joints, 1),
            expression_size=turn.shape[1],
            expression_turn=turn,
        )

    @property
    def eyelid_size(self) -> int:
        return self.basis.shape[-1] - self.identity_size - self.expression_size

    def of_person(self, identity: torch.Tensor) -> LandmarkBasis:
        """The basis of one person (identity_size,): the identity goes into the means, the other coefficients stay."""
        size = self.identity_size

        def shifted(mean: torch.Tensor, basis: torch.Tensor) -> torch.Tensor:
            return mean + basis[..., :size] @ identity

        def joint(values: torch.Tensor) -> torch.Tensor:
            return torch.cat([shifted(values[..., 0], values[..., 1:])[..., None], values[..., 1 + size :]], dim=-1)

        return replace(
            self,
            mean=shifted(self.mean, self.basis),
            basis=self.basis[..., size:].contiguous(),
            jaw_mean=shifted(self.jaw_mean, self.jaw_basis),
            jaw_basis=self.jaw_basis[..., size:].contiguous(),
            jaw_joint=joint(self.jaw_joint),
            root_joint=joint(self.root_joint),
            eye_joints=joint(self.eye_joints),
            identity_size=0,
            habit_size=0,
        )

    @property
    def shape_size(self) -> int:
        """Identity coefficients that are the head's."""
        return self.identity_size - self.habit_size

    @property
    def expression_slice(self) -> slice:
        """The head's own units."""
        return slice(self.identity_size, self.identity_size + self.expression_size - self.slip_size)

    @property
    def eyelid_slice(self) -> slice:
        return slice(self.identity_size + self.expression_size, self.basis.shape[-1])


def landmark_basis(
    head: HeadDescription, name: str, identity_size: int, device: torch.device | str = "cpu", dtype=torch.float32
) -> LandmarkBasis:
    """Reduce a head to the landmarks of one embedding.

    Args:
        head: any head in FLAME's layout.
        name: the embedding, such as "mediapipe478".
        identity_size: how many identity components to keep (at most S).
    """
    landmarks = head.landmarks[name]
    corners = head.faces[landmarks.faces]
    weights = landmarks.barycentric.astype(np.float64)
    identity_size = min(identity_size, head.identity.shape[-1])

    def mix(values: np.ndarray, factor: np.ndarray | None = None) -> np.ndarray:
        """Barycentric mix of per-vertex values (V,...), each corner scaled by `factor` (V,)."""
        scale = weights if factor is None else weights * factor[corners]
        return np.einsum("nk,nk...->n...", scale, values[corners].astype(np.float64))

    directions = np.concatenate([head.identity[..., :identity_size], head.expression, head.eyelids], axis=-1)
    jaw = head.skinning[:, JAW].astype(np.float64)
    correctives = head.pose_correctives.reshape(36, -1, 3)[(JAW - 1) * 9 : JAW * 9].transpose(1, 2, 0)
    moving = directions.copy()
    moving[..., identity_size + (head.expression.shape[-1] if head.joints_follow_expression else 0) :] = 0
    joints = np.einsum("jv,vdc->jdc", head.joint_regressor, np.concatenate([head.template[..., None], moving], axis=-1))

    def tensor(array: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(np.ascontiguousarray(array), dtype=dtype, device=device)

    return LandmarkBasis(
        mean=tensor(mix(head.template)),
        basis=tensor(mix(directions)),
        jaw_mean=tensor(mix(head.template, jaw)),
        jaw_basis=tensor(mix(directions, jaw)),
        jaw_weight=tensor(mix(jaw)),
        correctives=tensor(mix(correctives).transpose(2, 0, 1)),
        jaw_correctives=tensor(mix(correctives, jaw).transpose(2, 0, 1)),
        jaw_joint=tensor(joints[JAW]),
        root_joint=tensor(joints[ROOT]),
        eye_joints=tensor(joints[3:5]),
        normals=tensor(_normals(head)[landmarks.faces]),
        identity_size=identity_size,
        expression_size=head.expression.shape[-1],
    )


def _normals(head: HeadDescription) -> np.ndarray:
    """(F,3) unit normals of the template's triangles."""
    a, b, c = (head.template[head.faces[:, k]] for k in range(3))
    normals = np.cross(b - a, c - a)
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
