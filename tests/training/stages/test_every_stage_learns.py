# SPDX-License-Identifier: GPL-3.0-or-later
"""A few steps of every stage on synthetic faces: the loss falls, and nothing moves but what should."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.small_stages import SMALL, rings, small_stage
from training.stages.making import MAKERS
from training.stages.stage import Stage
from training.trainer.configuration import StageName

STEPS = 8


def test_no_stage_is_left_out() -> None:
    assert set(SMALL) == set(MAKERS)


def state(stage: Stage) -> dict[str, Tensor]:
    """Copies of all parameters and buffers, also of those that are in no checkpoint."""
    return {name: tensor.clone() for part in (stage.named_parameters(), stage.named_buffers()) for name, tensor in part}


def loss(stage: Stage) -> Tensor:
    """Of the batch; with the same chances each time."""
    torch.manual_seed(0)
    return stage.total(stage.terms(rings()))


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_the_loss_falls_and_only_what_learns_moves(name: StageName) -> None:
    stage, learning = small_stage(name), SMALL[name][1]
    optimiser = stage.configure_optimizers()
    before, losses = state(stage), []
    for _ in range(STEPS):
        current = loss(stage)
        optimiser.zero_grad()
        current.backward()
        optimiser.step()
        losses.append(current.item())
    losses.append(loss(stage).item())
    after = state(stage)
    assert losses[-1] < losses[0], losses
    assert all(tensor.isfinite().all() for tensor in after.values())
    moved = {key for key in before if not torch.equal(before[key], after[key])}
    trained = {key for key, _ in stage.named_parameters() if key.startswith(learning)}
    assert trained
    assert trained <= moved, f"did not move: {sorted(trained - moved)}"
    strays = {key for key in moved if not key.startswith(learning)}
    assert not strays, f"moved: {sorted(strays)}"


@pytest.mark.parametrize("name", SMALL)
def test_the_optimiser_holds_what_learns_and_nothing_else(name: StageName) -> None:
    stage, learning = small_stage(name), SMALL[name][1]
    held = {id(parameter) for group in stage.configure_optimizers().param_groups for parameter in group["params"]}
    assert held == {id(parameter) for key, parameter in stage.named_parameters() if key.startswith(learning)}
    frozen = [module for key, module in stage.named_modules() if key and not f"{key}.".startswith(learning)]
    holders = {"deca"} | {key.split(".")[0] for key in learning}
    assert not any(module.training for module in frozen if module not in [getattr(stage, h, None) for h in holders])
