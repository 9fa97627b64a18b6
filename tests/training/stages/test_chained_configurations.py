# SPDX-License-Identifier: GPL-3.0-or-later
"""Shipped configurations that begin from the run of another: what is frozen there has the shape that it has here."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from training.stages.making import make_stage
from training.trainer.configuration import Configuration, read_configuration, shipped_configurations

PARTS = {"coarse": ("deca-coarse", "emoca-coarse"), "expression": ("emoca-coarse",), "emotion": ("emotion-network",)}
"""Which stages' checkpoints have a part that a later stage begins from."""
SETTINGS = {"coarse": ("backbone",), "expression": ("backbone", "head_rotation", "jaw"), "emotion": ()}
"""What its shape depends on; an emotion network is made by what its file holds."""


def shipped(name: str) -> Configuration:
    return read_configuration(name)[0]


CHAINS = [
    (name, part, Path(source).parent.name)
    for name in shipped_configurations()
    for part, source in shipped(name).start.items()
    if Path(source).parts[0] == "runs"
]


def test_there_are_chains() -> None:
    assert ("emoca_detail_synthetic", "expression", "emoca_coarse_synthetic") in CHAINS
    assert ("deca_coarse", "coarse", "deca_pretrain") in CHAINS


@pytest.mark.parametrize(("name", "part", "before"), CHAINS)
def test_a_configuration_fits_the_run_that_it_begins_from(name: str, part: str, before: str) -> None:
    assert before in shipped_configurations()
    later, earlier = shipped(name), shipped(before)
    assert earlier.stage in PARTS[part]
    for setting in SETTINGS[part]:
        assert later.model.get(setting) == earlier.model.get(setting), setting
    if part != "emotion":
        assert later.head == earlier.head
    if part == "coarse" and earlier.stage == "emoca-coarse":
        assert earlier.model["coarse"] == "network"


def test_the_detail_stage_takes_the_expression_of_the_coarse_one(tmp_path: Path) -> None:
    alone = ["start.emotion=null", "model.weights.emotion=0"]
    before = make_stage(read_configuration("emoca_coarse_synthetic", alone)[0])
    torch.save({"state_dict": before.state_dict()}, tmp_path / "best.ckpt")
    change = f"start.expression={tmp_path / 'best.ckpt'}"
    after = make_stage(read_configuration("emoca_detail_synthetic", [change])[0])
    known = before.deca.E_expression.state_dict()
    assert all(torch.equal(value, known[name]) for name, value in after.deca.E_expression.state_dict().items())
