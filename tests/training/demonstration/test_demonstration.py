# SPDX-License-Identifier: GPL-3.0-or-later
"""The demonstration in small: all steps, a report of what they found, and nothing done twice."""

from __future__ import annotations

import math
from dataclasses import astuple
from pathlib import Path

import pytest
import torch

from blender_addon.contract.errors import ErrorCode, MienError
from training.demonstration.plan import Plan
from training.demonstration.report import report
from training.demonstration.run import Demonstration

SMALL = Plan(people=16, pictures=2, validated=2, tested=8, emotion_epochs=1, coarse_epochs=1, expression_epochs=1)


@pytest.mark.slow
def test_all_steps_are_done_once_and_told(tmp_path: Path) -> None:
    steps: list[str] = []
    found = Demonstration(tmp_path, SMALL, steps.append).run()
    assert steps == ["faces", "coarse, emotion, other, expression", "damaged", "emoca_without, emoca"]
    assert set(found.encoders) == {
        "taught from the truth", "damaged start", "EMOCA without the emotion loss", "EMOCA",
    }  # fmt: skip
    for judged in found.encoders.values():
        assert judged.expression > 0 and judged.strength > 0
        for felt in judged.felt:
            assert all(math.isfinite(value) for value in astuple(felt))
    assert found.encoders["damaged start"].strength < found.encoders["taught from the truth"].strength
    text = report(found)
    assert "EMOCA without the emotion loss" in text and "pictures/s" in text and "nan" not in text
    _frozen_stayed(tmp_path)
    steps.clear()
    again = Demonstration(tmp_path, SMALL, steps.append).run()
    assert steps == []
    assert again.encoders == found.encoders and again.emotion == found.emotion


def test_a_folder_of_another_plan_is_refused(tmp_path: Path) -> None:
    Demonstration(tmp_path, SMALL, print)
    Demonstration(tmp_path, SMALL, print)
    with pytest.raises(MienError, match="other numbers") as error:
        Demonstration(tmp_path, Plan(people=17), print)
    assert error.value.code is ErrorCode.USAGE


def _frozen_stayed(folder: Path) -> None:
    start = torch.load(folder / "damaged.ckpt", weights_only=True)["state_dict"]
    for name in ("emoca", "emoca_without"):
        end = torch.load(folder / name / "last.ckpt", weights_only=True)["state_dict"]
        for key, value in start.items():
            moved = not torch.equal(end[key], value)
            assert moved == key.startswith("deca.E_expression.") or not moved, key
        assert any(not torch.equal(end[key], start[key]) for key in start if key.startswith("deca.E_expression."))


