# SPDX-License-Identifier: GPL-3.0-or-later
"""How many numbers an encoder gives for a head, and what they mean.

For FLAME 2020 this is DECA's vector of 236 (`backend.networks.codes`). Other heads have other widths, and heads whose
expressions do not close the eyes have two numbers for the lids between expression and head rotation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from backend.networks.codes import ALBEDO, CAMERA, DETAIL, EXPRESSION, IDENTITY, LIGHT, ROTATION, ExpressionBranch
from blender_addon.contract.head import HeadDescription

_EYES = 6


class FaceCode(NamedTuple):
    """Everything that a face is rendered from, each (B, ...); radians and head space as in `HeadModel`."""

    identity: Tensor
    albedo: Tensor
    expression: Tensor
    eyelids: Tensor
    """(B, 2), or (B, 0) on heads without lids of their own."""
    head_rotation: Tensor
    jaw: Tensor
    camera: Tensor
    """(B, 3) s, tx, ty of the crop's weak perspective."""
    light: Tensor
    """(B, 9, 3)"""
    eyes: Tensor
    """(B, 6) gaze, left then right; zeros where it comes from an encoder."""


@dataclass(frozen=True)
class CodeLayout:
    """Widths of a head's codes.

    Attributes:
        identity: the first of the head's components.
        albedo: components of the albedo space.
        expression: the first of the head's channels.
        eyelids: 2 where the head's expressions leave the lids alone, else 0.
    """

    identity: int
    albedo: int
    expression: int
    eyelids: int

    @classmethod
    def of(cls, head: HeadDescription, albedo: int = ALBEDO) -> CodeLayout:
        """DECA's widths for FLAME; for the open head all that it has."""
        widths = head.identity.shape[2], head.expression.shape[2]
        if head.id == "open":
            return cls(widths[0], albedo, widths[1], head.eyelids.shape[2])
        return cls(min(IDENTITY, widths[0]), albedo, min(EXPRESSION, widths[1]), 0)

    @property
    def widths(self) -> tuple[int, ...]:
        """Of the parts of a coarse code, in order."""
        return (self.identity, self.albedo, self.expression, self.eyelids, ROTATION, ROTATION, CAMERA, LIGHT)

    @property
    def coarse(self) -> int:
        """Numbers of the coarse encoder."""
        return sum(self.widths)

    def moving(self, branch: ExpressionBranch) -> int:
        """Numbers of the expression encoder."""
        return self.expression + self.eyelids + ROTATION * (branch.head_rotation + branch.jaw)

    @property
    def detail(self) -> int:
        """Numbers that the detail decoder makes a map of, see `detail_input`; 181 for FLAME 2020."""
        return ROTATION + self.expression + self.eyelids + DETAIL

    def split(self, code: Tensor) -> FaceCode:
        """The parts of a coarse code (B, coarse).

        Raises:
            ValueError: the code has another width.
        """
        if code.shape[1] != self.coarse:
            raise ValueError(f"a coarse code of this head has {self.coarse} numbers, not {code.shape[1]}")
        *parts, light = code.split(self.widths, dim=1)
        return FaceCode(*parts, light.unflatten(1, (9, 3)), code.new_zeros(len(code), _EYES))

    def with_expression(self, coarse: FaceCode, output: Tensor, branch: ExpressionBranch) -> FaceCode:
        """EMOCA's code: the coarse one with what the expression encoder gives in place of the same parts.

        Args:
            coarse: of the frozen encoder.
            output: (B, moving(branch)) expression, lids, then head rotation and jaw as the branch says.
            branch: which of them it gives.

        Raises:
            ValueError: the output has another width.
        """
        if output.shape[1] != self.moving(branch):
            raise ValueError(f"the expression encoder gives {output.shape[1]} numbers, not {self.moving(branch)}")
        widths = (self.expression, self.eyelids, ROTATION * branch.head_rotation, ROTATION * branch.jaw)
        expression, eyelids, rotation, jaw = output.split(widths, dim=1)
        return coarse._replace(
            expression=expression,
            eyelids=eyelids,
            head_rotation=rotation if branch.head_rotation else coarse.head_rotation,
            jaw=jaw if branch.jaw else coarse.jaw,
        )


def detail_input(code: FaceCode, detail: Tensor) -> Tensor:
    """Input of the detail decoder: jaw, expression, lids where the head has them, detail code (B, 128)."""
    return torch.cat((code.jaw, code.expression, code.eyelids, detail), 1)


def true_code(batch: dict[str, Tensor], layout: CodeLayout) -> FaceCode:
    """The code that synthetic pictures (`SyntheticFaces`) were made from.

    Raises:
        KeyError: the pictures are not synthetic.
    """
    lids = batch["eyelids"][:, : layout.eyelids]
    names = ("identity", "albedo", "expression")
    shape = [batch[name][:, : getattr(layout, name)] for name in names]
    rest = [batch[name] for name in ("head_rotation", "jaw", "crop_camera", "light", "eyes")]
    return FaceCode(*shape, lids, *rest)


def joined(code: FaceCode) -> Tensor:
    """(B, coarse) the parts of a code side by side, without the gaze; what `CodeLayout.split` takes apart."""
    return torch.cat([part.flatten(1) for part in code[:-1]], 1)
