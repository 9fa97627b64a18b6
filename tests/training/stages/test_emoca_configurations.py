# SPDX-License-Identifier: GPL-3.0-or-later
"""The shipped configurations of the coarse stage and of the emotion networks: what they change, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from training.losses.lip_reading import WEIGHTS as LIP_WEIGHTS
from training.stages.emoca_coarse import PAPER_WEIGHTS, EmocaCoarseSettings
from training.stages.emotion_network import EmotionNetworkSettings
from training.trainer.configuration import read_configuration, shipped_configurations
from training.trainer.filling import filled

SWEEP = ("0.1", "0.3", "3", "10")
MEDIAPIPE = {
    "mediapipe_landmarks": 32.0, "mediapipe_eyes": 36.0, "mediapipe_lips": 36.0, "mediapipe_corners": 36.0,
}  # fmt: skip
V2 = {"emotion": 1.0, "photometric": 2.0, "expression": 1e-4} | MEDIAPIPE
ABLATIONS: dict[str, dict[str, object]] = {
    "l1": {"model.metric": "l1"},
    "cosine": {"model.metric": "cosine"},
    "without_emotion": {"model.weights.emotion": 0},
    **{f"emotion_{value}": {"model.weights.emotion": float(value)} for value in SWEEP},
}


def entries(table: Mapping[str, Any], place: str = "") -> dict[str, object]:
    """Settings by their places."""
    found: dict[str, object] = {}
    for name, value in table.items():
        found |= entries(value, f"{place}{name}.") if isinstance(value, Mapping) else {place + name: value}
    return found


def settings(name: str) -> EmocaCoarseSettings:
    configuration, _ = read_configuration(name)
    assert configuration.stage == "emoca-coarse"
    return filled(EmocaCoarseSettings, configuration.model, "model")


def test_the_papers_weights() -> None:
    assert settings("emoca_coarse").weights == PAPER_WEIGHTS


@pytest.mark.parametrize("name", ABLATIONS)
def test_an_ablation_changes_one_thing(name: str) -> None:
    base, changed = (entries(read_configuration(each)[1]) for each in ("emoca_coarse", f"emoca_coarse_{name}"))
    assert {place: value for place, value in changed.items() if base.get(place) != value} == ABLATIONS[name]
    assert base.keys() == changed.keys()
    settings(f"emoca_coarse_{name}")


def test_the_data_of_deca_changes_the_data_alone() -> None:
    base, changed = (read_configuration(each)[1] for each in ("emoca_coarse", "emoca_coarse_deca_data"))
    assert [entry["kind"] for entry in changed["data"]["train"]] == ["vggface2", "voxceleb2"]
    assert changed["data"]["balanced"] is False and changed["data"]["validation"] == base["data"]["validation"]
    assert {name: value for name, value in changed.items() if name != "data"} == {
        name: value for name, value in base.items() if name != "data"
    }


@pytest.mark.parametrize("name", ["emoca_coarse_synthetic", "emoca_v2_coarse_synthetic"])
def test_synthetic_data_has_nothing_of_affectnets(name: str) -> None:
    for entry in (read_configuration(name)[1]["data"][part] for part in ("train", "validation")):
        assert entry["kind"] == "synthetic" and not {"folder", "split"} & entry.keys()


def test_version_two() -> None:
    mse, cosine, alone, synthetic = (
        settings(f"emoca_v2_coarse{name}") for name in ("", "_cosine", "_mediapipe", "_synthetic")
    )
    assert mse.weights == V2 | {"lip_reading": LIP_WEIGHTS["l2"]} and mse.lip_metric == "l2"
    assert cosine.weights == V2 | {"lip_reading": LIP_WEIGHTS["cosine"]} and cosine.lip_metric == "cosine"
    assert alone.weights == synthetic.weights == V2
    assert {each.mask for each in (mse, cosine, alone, synthetic)} == {"photo"}


@pytest.mark.parametrize(("name", "backbone"), [("swin", "swin_b"), ("emonet", "emonet")])
def test_emotion_networks_on_other_backbones_begin_from_their_own_files(name: str, backbone: str) -> None:
    configuration, _ = read_configuration(f"emotion_network_{name}")
    assert filled(EmotionNetworkSettings, configuration.model, "model").backbone == backbone
    assert list(configuration.start) == ["backbone"]


def test_all_are_listed() -> None:
    names = {f"emoca_coarse_{name}" for name in ABLATIONS} | {"emoca_coarse_deca_data", "emoca_v2_coarse"}
    assert names <= set(shipped_configurations())
