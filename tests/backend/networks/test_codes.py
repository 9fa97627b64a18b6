# SPDX-License-Identifier: GPL-3.0-or-later
"""Which numbers of the encoders are what."""

from __future__ import annotations

import pytest
import torch

from backend.networks.codes import (
    COARSE,
    DETAIL,
    EXPRESSION,
    ExpressionBranch,
    detail_input,
    split_coarse,
    with_expression,
)
from backend.networks.detail_decoder import LATENT

CODE = torch.arange(2 * COARSE, dtype=torch.float32).view(2, COARSE)
"""Each number is its own place."""


def test_parts_of_the_coarse_code() -> None:
    parts = split_coarse(CODE)
    starts = [int(part.flatten()[0]) for part in parts]
    assert starts == [0, 100, 150, 200, 203, 206, 209]
    assert COARSE == 236
    assert parts.light.shape == (2, 9, 3)
    assert parts.light[0, 1].tolist() == [212, 213, 214]


@pytest.mark.parametrize(
    ("branch", "outputs", "rotation", "jaw"),
    [
        (ExpressionBranch(), 50, 200, 203),
        (ExpressionBranch(jaw=True), 53, 200, -50),
        (ExpressionBranch(head_rotation=True), 53, -50, 203),
        (ExpressionBranch(head_rotation=True, jaw=True), 56, -50, -53),
    ],
)
def test_who_gives_what_in_emoca(branch: ExpressionBranch, outputs: int, rotation: int, jaw: int) -> None:
    assert branch.outputs == outputs
    output = -torch.arange(outputs, dtype=torch.float32).expand(2, -1)
    merged = with_expression(split_coarse(CODE), output, branch)
    assert torch.equal(merged.expression, output[:, :EXPRESSION])
    assert (int(merged.head_rotation[0, 0]), int(merged.jaw[0, 0])) == (rotation, jaw)
    assert merged.head_rotation.shape == merged.jaw.shape == (2, 3)
    assert torch.equal(merged.camera, CODE[:, 206:209])


def test_another_width_than_the_branch_says() -> None:
    with pytest.raises(ValueError, match="gives 53 numbers, not 50"):
        with_expression(split_coarse(CODE), torch.zeros(2, 53), ExpressionBranch())


def test_the_decoder_sees_jaw_expression_detail_in_this_order() -> None:
    latents = detail_input(split_coarse(CODE), torch.full((2, DETAIL), -1.0))
    assert latents.shape == (2, LATENT)
    assert latents[0, :4].tolist() == [203, 204, 205, 150]
    assert (latents[:, 53:] == -1).all()
