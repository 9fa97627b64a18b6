# SPDX-License-Identifier: GPL-3.0-or-later
"""Emotion networks on other backbones, and the lip reader, through `models add`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from backend.emotion.readout import EmotionOfCrops
from backend.networks.emotion import EmotionNetwork
from backend.networks.emotion_backbones import Backbone
from backend.networks.lip_reading import Activation, LipReading
from backend.weights.adding import add
from backend.weights.found import About
from backend.weights.network_files import networks
from backend.weights.parts import find, parts
from blender_addon.contract.errors import ErrorCode, MienError
from tests.backend.weights.states import same_states
from tests.official_files import write_emotion_network
from tests.seeded_networks import random_input, seeded, seeded_state


def empty(network: torch.nn.Module) -> dict[str, np.ndarray]:
    """Arrays of a network's shapes that take no room."""
    kinds = {True: np.float32, False: np.int64}
    return {
        name: np.broadcast_to(np.zeros((), kinds[value.is_floating_point()]), tuple(value.shape))
        for name, value in network.state_dict().items()
    }


def test_a_trained_network_runs_once_it_was_added(tmp_path: Path, mien_home: Path) -> None:
    network = seeded(EmotionNetwork(backbone="mobilenet_small"))
    rest = {"epoch": 3, "global_step": 90, "pytorch-lightning_version": "2.6.6", "optimizer_states": [{"state": {}}]}
    torch.save({"state_dict": network.state_dict()} | rest, tmp_path / "best.ckpt")
    outcome = add([tmp_path / "best.ckpt"])
    assert not outcome.problems
    part = find("emotion_network")
    assert part.name == "mobilenet_small" and part.settings == {"backbone": "mobilenet_small"}
    crops = random_input("emotion network", 2)
    said = EmotionOfCrops(part, "mediapipe", torch.device("cpu")).read(crops)["outputs"]
    with torch.inference_mode():
        known = network(crops).numpy()
    np.testing.assert_allclose(said, known, atol=1e-4 * np.abs(known).max(), rtol=0)


def test_a_trained_resnet_stands_beside_the_published_one(tmp_path: Path, mien_home: Path) -> None:
    write_emotion_network(tmp_path / "emo")
    add([tmp_path / "emo"])
    state = seeded_state(EmotionNetwork())
    state["linear.bias"] = state["linear.bias"] + 1
    torch.save({"state_dict": state}, tmp_path / "best.ckpt")
    add([tmp_path / "best.ckpt"])
    assert {part.name for part in parts("emotion_network")} == {"", "resnet50"}
    assert torch.equal(find("emotion_network").tensors()["linear.bias"], state["linear.bias"])
    same_states(find("emotion_network", "emotion_network").tensors(), EmotionNetwork())


@pytest.mark.parametrize("name", ["swin_b", "emonet", "mobilenet_large"])
def test_each_backbone_is_told_by_its_tensors(name: Backbone) -> None:
    with torch.device("meta"):
        arrays = empty(EmotionNetwork(backbone=name))
    (found,) = networks({"state_dict": arrays}, About("best.ckpt"))
    assert (found.kind, found.name, found.settings) == ("emotion_network", name, {"backbone": name})
    assert found.arrays.keys() == arrays.keys() and not found.notes


def test_emocas_own_swin_has_other_names() -> None:
    """Its last layer lies within the transformer."""
    with torch.device("meta"):
        arrays = empty(EmotionNetwork(backbone="swin_b"))
    file = {name.replace("backbone.", "swin.").replace("linear.", "swin.head."): arrays[name] for name in arrays}
    (found,) = networks({"state_dict": file}, About("x.ckpt", model="SWIN-B"))
    assert (found.name, found.settings["backbone"]) == ("swin_b", "swin_b")
    assert found.arrays.keys() == arrays.keys()


def test_a_network_with_other_outputs_is_refused() -> None:
    with torch.device("meta"):
        arrays = empty(EmotionNetwork(backbone="mobilenet_small"))
    arrays["linear.weight"] = np.zeros((7, 576), np.float32)
    told = "an emotion network on mobilenet_small as published.*linear.weight 7x576"
    with pytest.raises(MienError, match=told) as caught:
        networks(arrays, About("x.ckpt"))
    assert caught.value.code is ErrorCode.BAD_WEIGHTS


@pytest.mark.parametrize("start", ["encoder.frontend.", "frontend."])
@pytest.mark.parametrize("activation", ["swish", "prelu"])
def test_the_lip_reader(tmp_path: Path, mien_home: Path, activation: Activation, start: str) -> None:
    network = LipReading(activation)
    state = {start + name: value for name, value in seeded_state(network).items()}
    rest = {"encoder.embed.0.weight": torch.zeros(8, 512), "decoder.output_layer.bias": torch.zeros(41)}
    torch.save(state | rest, tmp_path / "model.pth")
    outcome = add([tmp_path / "model.pth"])
    assert not outcome.problems
    (added,) = outcome.added
    assert added.notes == ("Left aside, not needed: 2 tensors of decoder, encoder.",)
    part = find("lip_reading")
    assert part.settings == {"activation": activation}
    same_states(part.tensors(), LipReading(activation))


def test_another_lip_reader_is_refused() -> None:
    arrays = {f"encoder.frontend.{name}": value for name, value in empty(LipReading()).items()}
    del arrays["encoder.frontend.trunk.layer4.1.conv2.weight"]
    arrays["encoder.frontend.trunk.layer1.2.conv1.weight"] = np.zeros((64, 64, 3, 3), np.float32)
    with pytest.raises(MienError, match="front-end of a lip reader.*1 is missing.*1 is not known") as caught:
        networks(arrays, About("model.pth"))
    assert caught.value.details["missing"] == [".trunk.layer4.1.conv2.weight"]
