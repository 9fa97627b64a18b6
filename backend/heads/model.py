# SPDX-License-Identifier: GPL-3.0-or-later
"""The head model: parameters to vertices, for the open head and for FLAME files alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from backend.heads.lbs import pose_feature, rodrigues, skin
from blender_addon.contract.head import PARENTS, HeadDescription

EyelidSpace = Literal["rest", "posed"]


@dataclass(frozen=True)
class HeadOutput:
    """Posed head: vertices (B, V, 3) and joints (B, 5, 3), metres, head space."""

    vertices: Tensor
    joints: Tensor


class HeadModel(nn.Module):
    """Linear shapes, pose correctives and skinning of one head (FLAME, Li et al. 2017, eq. 2-6).

    Joints are linear in the coefficients, so their own small basis is computed once. It needs no vertices afterwards,
    which makes `subset` exact.

    Attributes:
        head: the description this model was made from (always the whole head).
        vertex_ids: (V,) indices of this model's vertices in the whole head.
        faces: (F, 3) triangles of this model; in a subset those whose three corners are all in it.

    Args:
        head: the head's arrays.
        device: torch device.
        vertices: restrict the model to these vertices of the head (sorted, unique); all by default.
        eyelid_space: "rest" adds the eyelid shapes before skinning, so they turn with the head; "posed" adds them
            after it along fixed axes, as the published SMIRK layer does (only for parity with it).
    """

    vertex_ids: Tensor
    faces: Tensor
    template: Tensor
    shapes: Tensor
    joint_template: Tensor
    joint_shapes: Tensor
    pose_correctives: Tensor
    skinning: Tensor

    def __init__(
        self,
        head: HeadDescription,
        device: torch.device | str = "cpu",
        *,
        vertices: np.ndarray | None = None,
        eyelid_space: EyelidSpace = "rest",
    ) -> None:
        super().__init__()
        self.head = head
        self.eyelid_space: EyelidSpace = eyelid_space
        self._widths = (head.identity.shape[2], head.expression.shape[2], head.eyelids.shape[2])
        kept = np.arange(len(head.template)) if vertices is None else _checked_subset(vertices, len(head.template))
        for name, array in _constants(head, kept).items():
            self.register_buffer(name, torch.from_numpy(array).to(device), persistent=False)
        self._embeddings = tuple(_register_embeddings(self, head, kept, device))

    @property
    def device(self) -> torch.device:
        """Where the model's constants lie."""
        return self.template.device

    @property
    def dtype(self) -> torch.dtype:
        """Floating type of the model's constants (float32 unless it was converted)."""
        return self.template.dtype

    def subset(self, vertices: np.ndarray | Tensor) -> HeadModel:
        """The same model restricted to some vertices; its output equals the whole model's rows exactly.

        Args:
            vertices: (N,) indices into the whole head; sorted and made unique.

        Returns:
            A model with N' <= N vertices; `vertex_ids` says which. It has the landmark embeddings that fit into it.
        """
        wanted = np.unique(torch.as_tensor(vertices).cpu().numpy().astype(np.int64))
        part = HeadModel(self.head, self.device, vertices=wanted, eyelid_space=self.eyelid_space)
        return part.to(self.dtype)

    def at_landmarks(self, *names: str) -> HeadModel:
        """The model restricted to the vertices that carry the landmarks of the named embeddings."""
        corners = [self.head.faces[self.head.landmarks[name].faces] for name in names]
        return self.subset(np.concatenate([c.reshape(-1) for c in corners]))

    def forward(
        self,
        identity: Tensor | None = None,
        expression: Tensor | None = None,
        head_rotation: Tensor | None = None,
        neck: Tensor | None = None,
        jaw: Tensor | None = None,
        eyes: Tensor | None = None,
        eyelids: Tensor | None = None,
    ) -> HeadOutput:
        """Pose the head.

        Every argument may be left out (zeros), and a batch of one is broadcast. Narrower `identity` and `expression`
        are taken as zero-padded.

        Args:
            identity: (B, <=S) in standard deviations.
            expression: (B, <=E).
            head_rotation: (B, 3) axis-angle about the root joint, radians.
            neck: (B, 3) axis-angle.
            jaw: (B, 3) axis-angle.
            eyes: (B, 6) axis-angle, left then right.
            eyelids: (B, 2) closure, left then right; nothing moves with it on a head without eyelid shapes.

        Returns:
            Vertices and joints, metres.

        Raises:
            ValueError: an argument has the wrong width or the batches do not agree.
        """
        batch = _batch_size(identity, expression, head_rotation, neck, jaw, eyes, eyelids)
        if not self._widths[2]:
            eyelids = None
        rest = self._shaped(batch, identity, expression, eyelids if self.eyelid_space == "rest" else None)
        joints = self._joints(batch, identity, expression)
        rotations = self._rotations(batch, head_rotation, neck, jaw, eyes)
        if not (neck is None and jaw is None and eyes is None):
            rest = rest + pose_feature(rotations) @ self.pose_correctives
        posed, placed = skin(rest.unflatten(-1, (-1, 3)), joints, rotations, self.skinning, PARENTS)
        if eyelids is not None and self.eyelid_space == "posed":
            posed = posed + self._part(eyelids, 2).expand(batch, -1).unflatten(-1, (-1, 3))
        return HeadOutput(posed, placed)

    def landmarks(self, vertices: Tensor, name: str) -> Tensor:
        """Surface points of a landmark embedding.

        Args:
            vertices: (B, V, 3) of this model (or any per-vertex values (B, V, C)).
            name: embedding, "mediapipe478" or "ibug68" where the head has it.

        Returns:
            (B, N, 3) (or (B, N, C)).

        Raises:
            KeyError: this model does not have the embedding.
        """
        if name not in self._embeddings:
            raise KeyError(f"{self.head.id} has no landmark embedding {name!r} (it has {', '.join(self._embeddings)})")
        corners: Tensor = getattr(self, f"corners_{name}")
        barycentric: Tensor = getattr(self, f"barycentric_{name}")
        return (vertices[:, corners] * barycentric[..., None]).sum(2)

    def _part(self, coefficients: Tensor, part: int, *, joints: bool = False) -> Tensor:
        """One block of the linear model: coefficients (B, <=K) times their rows, (B, 3V) or (B, 15)."""
        width = coefficients.shape[-1]
        if width > self._widths[part]:
            name = ("identity", "expression", "eyelids")[part]
            raise ValueError(f"{name} has {width} columns, but the head {self.head.id} has {self._widths[part]}")
        start = sum(self._widths[:part])
        return coefficients @ (self.joint_shapes if joints else self.shapes)[start : start + width]

    def _shaped(self, batch: int, identity: Tensor | None, expression: Tensor | None, eyelids: Tensor | None) -> Tensor:
        shaped = self.template
        for part, coefficients in enumerate((identity, expression, eyelids)):
            if coefficients is not None:
                shaped = shaped + self._part(coefficients, part)
        return shaped.expand(batch, -1)

    def _joints(self, batch: int, identity: Tensor | None, expression: Tensor | None) -> Tensor:
        joints = self.joint_template
        if identity is not None:
            joints = joints + self._part(identity, 0, joints=True)
        if expression is not None and self.head.joints_follow_expression:
            joints = joints + self._part(expression, 1, joints=True)
        return joints.expand(batch, -1).unflatten(-1, (-1, 3))

    def _rotations(
        self, batch: int, head_rotation: Tensor | None, neck: Tensor | None, jaw: Tensor | None, eyes: Tensor | None
    ) -> Tensor:
        zero = self.template.new_zeros(batch, 3)
        given = (head_rotation, neck, jaw)
        parts = [zero if p is None else p.expand(batch, 3) for p in given]
        parts.append(self.template.new_zeros(batch, 6) if eyes is None else eyes.expand(batch, 6))
        return rodrigues(torch.cat(parts, -1).unflatten(-1, (-1, 3)))


def _checked_subset(vertices: np.ndarray, count: int) -> np.ndarray:
    kept = np.asarray(vertices, dtype=np.int64)
    if kept.ndim != 1 or kept.size == 0 or (np.diff(kept) <= 0).any() or kept[0] < 0 or kept[-1] >= count:
        raise ValueError(f"vertices must be sorted unique indices below {count}")
    return kept


def _constants(head: HeadDescription, kept: np.ndarray) -> dict[str, np.ndarray]:
    """The arrays of the forward pass, laid out for matrix products, restricted to the kept vertices."""
    shapes = np.concatenate((head.identity, head.expression, head.eyelids), axis=2)
    regressor = head.joint_regressor.astype(np.float64)
    joint_shapes = np.einsum("jv,vck->kjc", regressor, shapes.astype(np.float64), optimize=True)
    correctives = head.pose_correctives.reshape(len(head.pose_correctives), -1, 3)[:, kept]
    new_index = np.full(len(head.template), -1, dtype=np.int64)
    new_index[kept] = np.arange(len(kept))
    faces = new_index[head.faces]
    return {
        "vertex_ids": kept,
        "faces": faces[(faces >= 0).all(1)],
        "template": np.ascontiguousarray(head.template[kept]).reshape(-1),
        "shapes": np.ascontiguousarray(shapes[kept].transpose(2, 0, 1)).reshape(shapes.shape[2], -1),
        "joint_template": (regressor @ head.template).reshape(-1).astype(np.float32),
        "joint_shapes": joint_shapes.reshape(shapes.shape[2], -1).astype(np.float32),
        "pose_correctives": np.ascontiguousarray(correctives).reshape(len(correctives), -1),
        "skinning": np.ascontiguousarray(head.skinning[kept]),
    }


def _register_embeddings(
    model: HeadModel, head: HeadDescription, kept: np.ndarray, device: torch.device | str
) -> list[str]:
    """Put the embeddings that lie wholly on the kept vertices into buffers; return their names."""
    new_index = np.full(len(head.template), -1, dtype=np.int64)
    new_index[kept] = np.arange(len(kept))
    names = []
    for name, landmarks in head.landmarks.items():
        corners = new_index[head.faces[landmarks.faces]]
        if (corners < 0).any():
            continue
        model.register_buffer(f"corners_{name}", torch.from_numpy(corners).to(device), persistent=False)
        barycentric = torch.from_numpy(np.ascontiguousarray(landmarks.barycentric)).to(device)
        model.register_buffer(f"barycentric_{name}", barycentric, persistent=False)
        names.append(name)
    return names


def _batch_size(*arguments: Tensor | None) -> int:
    sizes = {argument.shape[0] for argument in arguments if argument is not None} - {1}
    if len(sizes) > 1:
        raise ValueError(f"arguments have different batch sizes: {sorted(sizes)}")
    return sizes.pop() if sizes else 1
