# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks' outputs against those of the published modules, under seeded weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from backend.networks.detail_decoder import DetailDecoder
from backend.networks.emotion import EmotionMLP, EmotionNetwork, readout
from backend.networks.face_encoder import FaceEncoder
from backend.networks.mica import Mica
from backend.networks.resnet50 import ResNet50
from backend.networks.smirk_encoder import (
    ExpressionEncoder,
    PoseEncoder,
    ShapeEncoder,
    SmirkEncoder,
    split_expression,
    split_pose,
)
from backend.networks.smirk_translator import SmirkTranslator
from backend.networks.vgg import VGG16Features
from tests.seeded_networks import seeded

EMOCA_LIMIT, SMIRK_LIMIT, MICA_LIMIT = 1e-5, 1e-4, 1e-3
STAGES = {"small": ("stem", 0, 1, 3, 5), "large": (0, 1, 2, 4, 6)}
"""Layers that end each size of the map: strides 2, 4, 8, 16, 32."""


def uniform(seed: int, *shape: int) -> Tensor:
    return torch.from_numpy(np.random.Generator(np.random.PCG64(seed)).uniform(0, 1, shape).astype(np.float32))


def normal(seed: int, *shape: int) -> Tensor:
    return torch.from_numpy(np.random.Generator(np.random.PCG64(seed)).standard_normal(shape).astype(np.float32))


def close(value: Tensor, known: np.ndarray, limit: float) -> None:
    np.testing.assert_allclose(value.numpy(), known, atol=limit * np.abs(known).max(), rtol=0)


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def images() -> Tensor:
    return uniform(0, 2, 3, 224, 224)


@pytest.fixture(scope="module")
def emoca(parity: Path) -> dict[str, np.ndarray]:
    return dict(np.load(parity / "emoca" / "networks.npz"))


@pytest.fixture(scope="module")
def smirk(parity: Path):
    return lambda name: dict(np.load(parity / "smirk" / f"{name}.npz"))


def test_the_image_is_the_one_that_was_used(smirk, images: Tensor) -> None:
    known = smirk("input_image_checksum")
    np.testing.assert_array_equal(images.flatten()[:8].numpy(), known["first8"])
    np.testing.assert_allclose([images.mean(), images.std()], [known["mean"][0], known["std"][0]], rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "outputs"), [("E_flame", 236), ("E_detail", 128), ("E_expression_50", 50), ("E_expression_53", 53)]
)
def test_face_encoders(emoca, images: Tensor, name: str, outputs: int) -> None:
    network = seeded(FaceEncoder(outputs))
    close(network.encoder(images), emoca[f"{name}.features"], EMOCA_LIMIT)
    close(network(images), emoca[f"{name}.out"], EMOCA_LIMIT)


def test_detail_decoder(emoca) -> None:
    found = seeded(DetailDecoder())(normal(1, 2, 181))
    np.testing.assert_allclose(found.numpy(), emoca["D_detail"], atol=2e-7, rtol=0)


def test_emotion_network(emoca, images: Tensor) -> None:
    network = seeded(EmotionNetwork())
    close(network.backbone(images), emoca["EmoCnn_resnet50.emo_feat_2"], EMOCA_LIMIT)
    raw = network(images)
    close(raw, emoca["EmoCnn_resnet50.linear_raw"], EMOCA_LIMIT)
    emotions = readout(raw)
    close(emotions.log_probabilities, emoca["EmoCnn_resnet50.expr_log_softmax"], EMOCA_LIMIT)
    close(emotions.valence, emoca["EmoCnn_resnet50.valence"], EMOCA_LIMIT)
    close(emotions.arousal, emoca["EmoCnn_resnet50.arousal"], EMOCA_LIMIT)


def test_emotion_network_as_smirk_runs_it(smirk, images: Tensor) -> None:
    found = seeded(ResNet50("torchvision", classes=100))(images)
    close(found, smirk("emotion_resnet50")["features"], SMIRK_LIMIT)


def test_emotion_mlp(emoca) -> None:
    close(seeded(EmotionMLP())(normal(4, 4, 153)), emoca["EmoDECA_MLP"], EMOCA_LIMIT)


@pytest.mark.parametrize(
    ("name", "build", "size"),
    [
        ("pose_encoder", PoseEncoder, "small"),
        ("shape_encoder", ShapeEncoder, "large"),
        ("expression_encoder", ExpressionEncoder, "large"),
    ],
)
def test_smirk_encoders(smirk, images: Tensor, name: str, build: type[nn.Module], size: str) -> None:
    network, known = seeded(build()), smirk(name)
    maps: dict[str | int, Tensor] = {}
    backbone = network.encoder
    x = maps["stem"] = functional.relu(backbone.bn1(backbone.conv_stem(images)))
    for number, stage in enumerate(backbone.blocks):
        x = maps[number] = stage(x)
    stages = [maps[key] for key in STAGES[size]]
    close(torch.stack([stage.mean((1, 2, 3)) for stage in stages], 1), known["stage_means"], SMIRK_LIMIT)
    close(torch.stack([stage.abs().amax((1, 2, 3)) for stage in stages], 1), known["stage_absmax"], SMIRK_LIMIT)
    close(network.pooled(images), known["pooled_features"], SMIRK_LIMIT)
    raw = network(images)
    close(raw, known["head_raw"], SMIRK_LIMIT)
    if name == "shape_encoder":
        close(raw, known["shape_params"], SMIRK_LIMIT)
    else:
        check_parts(raw, known)


def check_parts(raw: Tensor, known: dict[str, np.ndarray]) -> None:
    if raw.shape[1] == 6:
        pose = split_pose(raw)
        close(pose.head_rotation, known["pose_params"], SMIRK_LIMIT)
        close(pose.camera, known["cam"], SMIRK_LIMIT)
        return
    output = split_expression(raw)
    close(output.expression, known["expression_params"], SMIRK_LIMIT)
    close(output.eyelids, known["eyelid_params"], SMIRK_LIMIT)
    close(output.jaw, known["jaw_params"], SMIRK_LIMIT)


def test_expression_within_its_limits(smirk, images: Tensor) -> None:
    """With a head so small that the clamps let something through."""
    network, known = seeded(ExpressionEncoder()), smirk("expression_encoder_scaled")
    network.expression_layers[0].weight.mul_(1e-5)
    raw = network(images)
    close(raw, known["head_raw"], SMIRK_LIMIT)
    check_parts(raw, known)


def test_smirk_encoder(smirk, images: Tensor) -> None:
    found, known = seeded(SmirkEncoder())(images), smirk("smirk_encoder")
    names = ("pose_params", "cam", "shape_params", "expression_params", "eyelid_params", "jaw_params")
    for value, name in zip(found, names, strict=True):
        close(value, known[name], SMIRK_LIMIT)


def test_smirk_translator(smirk) -> None:
    network, known, image = seeded(SmirkTranslator()), smirk("smirk_generator"), uniform(1, 1, 6, 224, 224)
    seen: dict[str, Tensor] = {}
    for name in (key.removeprefix("mean.") for key in known if key.startswith("mean.")):
        module = network.get_submodule(name)
        module.register_forward_hook(lambda _, __, output, name=name: seen.update({name: output.clone()}))
    logits = network.logits(image)
    close(logits, known["logits"], SMIRK_LIMIT)
    np.testing.assert_allclose(torch.sigmoid(logits).numpy(), known["output"], atol=SMIRK_LIMIT)
    for name, value in seen.items():
        np.testing.assert_allclose(float(value.abs().mean()), known[f"absmean.{name}"][0], rtol=SMIRK_LIMIT)
        np.testing.assert_allclose(
            float(value.mean()), known[f"mean.{name}"][0], atol=SMIRK_LIMIT * known[f"absmean.{name}"][0]
        )
    network.conv.weight.mul_(0.02)
    np.testing.assert_allclose(network(image).numpy(), smirk("smirk_generator_scaled")["output"], atol=SMIRK_LIMIT)


def test_mica_as_smirk_feeds_it(smirk) -> None:
    """That is BGR; MICA itself takes RGB."""
    network, known = Mica().eval(), smirk("mica")
    seeded(network.arcface)
    seeded(network.regressor)
    crops = ((uniform(3, 2, 3, 112, 112) - 0.5) / 0.5).flip(1)
    embedding = network.arcface(crops)
    close(embedding, known["arcface_embedding"], MICA_LIMIT)
    close(functional.normalize(embedding), known["arcface_normalized"], MICA_LIMIT)
    close(network(crops), known["shape_params"], MICA_LIMIT)


def test_vgg16(smirk, images: Tensor) -> None:
    """SMIRK's loss maps [0, 1] once more before it asks for features."""
    network, known = seeded(VGG16Features(), ("mean", "std")), smirk("vgg_loss")
    pairs = zip(network(0.5 * images + 0.5), network(0.5 * uniform(2, 2, 3, 224, 224) + 0.5), strict=True)
    blocks = [float((a - b).abs().mean()) for a, b in pairs]
    np.testing.assert_allclose(blocks, known["per_block"], rtol=SMIRK_LIMIT)
    np.testing.assert_allclose(sum(blocks), known["loss"][0], rtol=SMIRK_LIMIT)
