# SPDX-License-Identifier: GPL-3.0-or-later
"""What the numbers of DECA's and EMOCA's encoders mean, and which encoder has the last word.

All are coefficients of FLAME 2020: identity and expression in its principal components (metres per unit), rotations as
axis-angle vectors in radians in head space (x to the person's left, y up, z out of the face).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

IDENTITY, ALBEDO, EXPRESSION, ROTATION, CAMERA, LIGHT = 100, 50, 50, 3, 3, 27
COARSE = IDENTITY + ALBEDO + EXPRESSION + 2 * ROTATION + CAMERA + LIGHT
"""236 numbers of DECA's coarse encoder."""
DETAIL = 128
"""Numbers of the detail encoder."""


class CoarseCode(NamedTuple):
    """DECA's coarse code (Feng et al. 2021, section 4.1), each (B, ...)."""

    identity: Tensor
    """(B, 100) the first of FLAME's 300."""
    albedo: Tensor
    """(B, 50) coefficients of the albedo space."""
    expression: Tensor
    """(B, 50) the first of FLAME's 100."""
    head_rotation: Tensor
    """(B, 3) about the root joint."""
    jaw: Tensor
    """(B, 3)."""
    camera: Tensor
    """(B, 3) s, tx, ty of the crop's weak perspective."""
    light: Tensor
    """(B, 9, 3) spherical-harmonics bands by RGB."""


@dataclass(frozen=True)
class ExpressionBranch:
    """What EMOCA's expression encoder gives beside the expression, as its configuration says
    (`exp_deca_global_pose`, `exp_deca_jaw_pose`)."""

    head_rotation: bool = False
    jaw: bool = False

    @property
    def outputs(self) -> int:
        """Numbers of the encoder: 50, 53 or 56."""
        return EXPRESSION + ROTATION * (self.head_rotation + self.jaw)


def split_coarse(code: Tensor) -> CoarseCode:
    """The parts of a coarse code (B, 236)."""
    widths = (IDENTITY, ALBEDO, EXPRESSION, ROTATION, ROTATION, CAMERA, LIGHT)
    *parts, light = code.split(widths, dim=1)
    return CoarseCode(*parts, light.unflatten(1, (9, 3)))


def with_expression(coarse: CoarseCode, output: Tensor, branch: ExpressionBranch) -> CoarseCode:
    """EMOCA's code: DECA's, with what its expression encoder gives in place of the same parts.

    Args:
        coarse: of DECA's encoder, which EMOCA leaves as it is.
        output: (B, branch.outputs) of the expression encoder: expression, head rotation, jaw.
        branch: which of them it gives.

    Raises:
        ValueError: the output is of another width than the branch says.
    """
    if output.shape[1] != branch.outputs:
        raise ValueError(f"the expression encoder gives {output.shape[1]} numbers, not {branch.outputs}")
    expression, rotations = output[:, :EXPRESSION], output[:, EXPRESSION:]
    return coarse._replace(
        expression=expression,
        head_rotation=rotations[:, :ROTATION] if branch.head_rotation else coarse.head_rotation,
        jaw=rotations[:, -ROTATION:] if branch.jaw else coarse.jaw,
    )


def detail_input(code: CoarseCode, detail: Tensor) -> Tensor:
    """(B, 181) input of the detail decoder: jaw, expression, detail code (B, 128)."""
    return torch.cat((code.jaw, code.expression, detail), 1)
