# SPDX-License-Identifier: GPL-3.0-or-later
"""The tensors' names, shapes and types against those of the official files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from torch import nn

from backend.networks.arcface import ArcFace
from backend.networks.detail_decoder import DetailDecoder
from backend.networks.emotion import EmotionMLP, EmotionNetwork
from backend.networks.face_encoder import FaceEncoder
from backend.networks.mica import MappingNetwork
from backend.networks.resnet50 import ResNet50
from backend.networks.smirk_encoder import ExpressionEncoder, PoseEncoder, ShapeEncoder, SmirkEncoder
from backend.networks.smirk_translator import SmirkTranslator
from backend.networks.vgg import VGG16Features, VGG19Features

Key = tuple[str, tuple[int, ...], str]

EMOCA: dict[str, Callable[[], nn.Module]] = {
    "E_flame": lambda: FaceEncoder(236),
    "E_detail": lambda: FaceEncoder(128),
    "D_detail": DetailDecoder,
    "E_expression_50": lambda: FaceEncoder(50),
    "E_expression_53": lambda: FaceEncoder(53),
    "EmoCnn_resnet50": EmotionNetwork,
    "EmoDECA_MLP": EmotionMLP,
}
SMIRK: dict[str, Callable[[], nn.Module]] = {
    "pose_encoder": PoseEncoder,
    "shape_encoder": ShapeEncoder,
    "expression_encoder": ExpressionEncoder,
    "smirk_encoder": SmirkEncoder,
    "smirk_generator": SmirkTranslator,
    "mica_arcface": ArcFace,
    "mica_mapping": MappingNetwork,
    "vgg_loss": VGG16Features,
}


def keys_of(module: nn.Module, prefix: str = "") -> list[Key]:
    state = module.state_dict()
    return [(prefix + name, tuple(t.shape), str(t.dtype).removeprefix("torch.")) for name, t in state.items()]


def listed(rows: list) -> list[Key]:
    return [(name, tuple(shape), dtype) for name, shape, dtype in rows]


def described(table: dict) -> list[Key]:
    return [(name, tuple(entry["shape"]), entry["dtype"]) for name, entry in table.items()]


def read(path: Path) -> dict:
    return json.loads(path.read_text())


@pytest.mark.parametrize("name", EMOCA)
def test_networks_of_deca_and_emoca(parity: Path, name: str) -> None:
    assert keys_of(EMOCA[name]()) == listed(read(parity / "emoca" / "networks_keys.json")[name])


@pytest.mark.parametrize("name", SMIRK)
def test_networks_of_smirk_and_mica(parity: Path, name: str) -> None:
    assert keys_of(SMIRK[name]()) == described(read(parity / "smirk" / f"{name}_keys.json"))


def test_emotion_network_as_smirk_builds_it(parity: Path) -> None:
    """That class lists its layers in another order than the file it loads, so order is left out."""
    known = described(read(parity / "smirk" / "emotion_resnet50_keys.json"))
    assert sorted(keys_of(ResNet50("torchvision", classes=100))) == sorted(known)


def test_deca_file(parity: Path) -> None:
    known = read(parity / "emoca" / "deca_state_dict_keys.json")
    for name in ("E_flame", "E_detail", "D_detail"):
        assert keys_of(EMOCA[name]()) == listed(known[name])


@pytest.mark.parametrize(
    "layout", ["EMOCA_v1_detail_with_bfm_texture", "EMOCA_v1_detail_no_texture", "EMOCA_v2_detail_no_texture"]
)
def test_emoca_checkpoint(parity: Path, layout: str) -> None:
    known = listed(read(parity / "emoca" / "emoca_state_dict_keys.json")[layout])
    parts = {
        "deca.E_flame.": FaceEncoder(236),
        "deca.E_detail.": FaceEncoder(128),
        "deca.E_expression.": FaceEncoder(50),
        "deca.D_detail.": DetailDecoder(),
        "deca.perceptual_loss.featlayer.": VGG19Features(),
    }
    for prefix, module in parts.items():
        assert keys_of(module, prefix) == [key for key in known if key[0].startswith(prefix)], prefix


def test_smirk_file(parity: Path) -> None:
    known = read(parity / "smirk" / "smirk_state_dict_keys.json")
    ours = keys_of(SmirkEncoder(), "smirk_encoder.") + keys_of(SmirkTranslator(), "smirk_generator.")
    assert ours == described(known["tensors"])
    assert len(ours) == known["n_tensors"]


@pytest.mark.parametrize(
    ("build", "tensors", "parameters"),
    [
        (lambda: FaceEncoder(236), 322, 25_848_108),
        (PoseEncoder, 206, 428_888 + 3_462),
        (ShapeEncoder, 278, 1_701_508),
        (ExpressionEncoder, 278, 1_466_063),
        (SmirkTranslator, 178, 31_367_171),
        (ArcFace, 925, 65_156_160),
    ],
)
def test_sizes_that_were_published(build: Callable[[], nn.Module], tensors: int, parameters: int) -> None:
    module = build()
    assert len(module.state_dict()) == tensors
    assert sum(parameter.numel() for parameter in module.parameters()) == parameters
