# SPDX-License-Identifier: GPL-3.0-or-later
"""Codes of heads: DECA's for FLAME, wider ones for the open head, and what EMOCA puts in their place."""

from __future__ import annotations

import pytest
import torch

from backend.heads import load_head
from backend.networks.codes import COARSE, ExpressionBranch, split_coarse, with_expression
from blender_addon.contract.head import HeadDescription
from training.model.encoder import clone_expression, face_encoder
from training.model.layout import CodeLayout, joined

BRANCHES = [ExpressionBranch(), ExpressionBranch(jaw=True), ExpressionBranch(True, True)]


def test_flame_has_decas_code(flame: HeadDescription) -> None:
    layout = CodeLayout.of(flame)
    assert layout.coarse == COARSE
    code = torch.randn(2, COARSE)
    ours, theirs = layout.split(code), split_coarse(code)
    for name in theirs._fields:
        assert torch.equal(getattr(ours, name), getattr(theirs, name))
    assert torch.equal(joined(ours), code)


@pytest.mark.parametrize("branch", BRANCHES)
def test_flame_has_emocas_code(flame: HeadDescription, branch: ExpressionBranch) -> None:
    layout = CodeLayout.of(flame)
    code, output = torch.randn(2, COARSE), torch.randn(2, branch.outputs)
    assert layout.moving(branch) == branch.outputs
    ours = layout.with_expression(layout.split(code), output, branch)
    theirs = with_expression(split_coarse(code), output, branch)
    for name in theirs._fields:
        assert torch.equal(getattr(ours, name), getattr(theirs, name))


def test_the_open_head_has_all_it_can_show_and_its_lids() -> None:
    head = load_head()
    layout = CodeLayout.of(head)
    assert (layout.identity, layout.expression, layout.eyelids) == (120, 49, 2)
    code = torch.randn(3, layout.coarse)
    parts = layout.split(code)
    assert parts.eyelids.shape == (3, 2) and parts.light.shape == (3, 9, 3)
    assert torch.equal(joined(parts), code)
    with pytest.raises(ValueError, match="numbers"):
        layout.split(code[:, 1:])
    with pytest.raises(ValueError, match="expression encoder gives"):
        layout.with_expression(parts, code[:, :7], ExpressionBranch())


@pytest.mark.parametrize("branch", BRANCHES)
def test_a_cloned_expression_encoder_says_what_the_coarse_one_says(branch: ExpressionBranch) -> None:
    layout = CodeLayout.of(load_head())
    coarse = face_encoder("mobilenet_small", layout.coarse).eval()
    expression = face_encoder("mobilenet_small", layout.moving(branch)).eval()
    clone_expression(coarse, expression, layout, branch)
    photo = torch.rand(1, 3, 224, 224)
    with torch.no_grad():
        code = layout.split(coarse(photo))
        again = layout.with_expression(code, expression(photo), branch)
    for name in code._fields:
        torch.testing.assert_close(getattr(again, name), getattr(code, name))
