# SPDX-License-Identifier: GPL-3.0-or-later
"""Emotion networks and backbones out of the files that users have."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from backend.networks.emotion import EmotionNetwork
from backend.networks.emotion_backbones import Backbone, backbone, backbone_state
from backend.networks.swin import SwinB
from blender_addon.contract.errors import ErrorCode, MienError
from tests.seeded_networks import seeded, seeded_state
from training.model.emotion import emotion_network
from training.model.starting import begin, weights

State = dict[str, Tensor]
BUFFERS = ("relative_position_index", "attn_mask")


def emonet_file() -> State:
    state = seeded(EmotionNetwork(backbone="emonet")).state_dict()
    return {f"module.{name.removeprefix('backbone.').replace('linear.', 'emo_fc_2.')}": state[name] for name in state}


@pytest.mark.parametrize("name", ["mobilenet_large", "mobilenet_small"])
def test_a_checkpoint_of_ours_is_the_network_that_it_was(tmp_path: Path, name: Backbone) -> None:
    network = seeded(EmotionNetwork(backbone=name))
    torch.save({"state_dict": network.state_dict(), "epoch": 3}, tmp_path / "best.ckpt")
    found = emotion_network(str(tmp_path / "best.ckpt"))
    assert not found.training
    same(found, network.state_dict())


def test_the_published_emonet(tmp_path: Path) -> None:
    file = emonet_file()
    torch.save(file, tmp_path / "emonet_8.pth")
    found = emotion_network(str(tmp_path / "emonet_8.pth"))
    assert torch.equal(found.linear[3].weight, file["module.emo_fc_2.3.weight"])
    assert torch.equal(found.backbone.l1.bias, file["module.l1.bias"])
    alone = backbone("emonet")
    begin(alone, backbone_state("emonet", weights(str(tmp_path / "emonet_8.pth"))), "", "emonet_8.pth")
    same(alone, found.backbone.state_dict())


@pytest.mark.parametrize("layout", ["original", "newer"])
def test_swin_of_imagenet(tmp_path: Path, layout: str) -> None:
    """The original as a table in a table with all buffers, the newer one without them, as safetensors."""
    network = SwinB()
    state = network.state_dict() | {"head.weight": torch.zeros(10, 1024), "head.bias": torch.zeros(10)}
    if layout == "original":
        path = tmp_path / "swin_base_patch4_window7_224.pth"
        torch.save({"model": state}, path)
    else:
        path = tmp_path / "model.safetensors"
        moved = {f"layers.{stage}.": f"layers.{stage + 1}." for stage in range(3)}
        save_file({
            moved[name[:9]] + name[9:] if ".downsample." in name else name: value
            for name, value in state.items() if not name.endswith(BUFFERS)
        }, path)  # fmt: skip
    fresh = SwinB()
    begin(fresh, backbone_state("swin_b", weights(str(path))), "", path.name)
    same(fresh, network.state_dict())


def test_a_backbone_begins_from_an_emotion_network(tmp_path: Path) -> None:
    network = seeded(EmotionNetwork(backbone="mobilenet_small"))
    torch.save({"state_dict": network.state_dict()}, tmp_path / "best.ckpt")
    begun = backbone("mobilenet_small")
    begin(begun, backbone_state("mobilenet_small", weights(str(tmp_path / "best.ckpt"))), "", "best.ckpt")
    same(begun, seeded_state(EmotionNetwork(backbone="mobilenet_small")), "backbone.")


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("x.ckpt", lambda path: torch.save({"layers.0.weight": torch.zeros(2)}, path), "is no emotion network"),
        ("x.safetensors", lambda path: path.write_bytes(b"\x10" + bytes(30)), "is damaged"),
        ("x.safetensors", lambda path: None, "x.safetensors"),
        ("x.ckpt", lambda path: path.write_text("version https://git-lfs.github.com/"), "a pointer of Git LFS"),
        ("x.ckpt", lambda path: path.write_bytes(b""), "is empty"),
        ("x.ckpt", lambda path: path.write_bytes(pickle.dumps(Forged())), "was not opened: it holds .*system"),
    ],
)
def test_other_files_are_told(tmp_path: Path, name: str, write: Callable[[Path], None], message: str) -> None:
    write(tmp_path / name)
    with pytest.raises(MienError, match=message) as caught:
        emotion_network(str(tmp_path / name))
    assert caught.value.code in (ErrorCode.BAD_WEIGHTS, ErrorCode.MISSING_FILE)


class Forged:
    """Would run a command in a reader that trusts it."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("exit",)


def same(module: nn.Module, state: State, prefix: str = "") -> None:
    for name, value in module.state_dict().items():
        assert torch.equal(value, state[prefix + name]), name
