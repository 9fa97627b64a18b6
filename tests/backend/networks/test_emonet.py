# SPDX-License-Identifier: GPL-3.0-or-later
"""EmoNet: names and sizes as published, and what its parts do."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from backend.networks.emonet import EmoNet, Hourglass, emotion_layers, published_state
from backend.networks.emotion import EmotionNetwork
from tests.seeded_networks import random_input, seeded

PUBLISHED = {
    "conv1.weight": (64, 3, 7, 7),
    "conv1.bias": (64,),
    "conv2.downsample.2.weight": (128, 64, 1, 1),
    "conv4.conv3.weight": (64, 64, 3, 3),
    "m0.b1_4.conv1.weight": (128, 256, 3, 3),
    "m1.b2_plus_1.bn3.running_mean": (64,),
    "top_m_1.conv2.weight": (64, 128, 3, 3),
    "conv_last0.bias": (256,),
    "bn_end1.weight": (256,),
    "l1.weight": (68, 256, 1, 1),
    "bl0.weight": (256, 256, 1, 1),
    "al0.weight": (256, 68, 1, 1),
    "conv1x1_input_emo_2.weight": (256, 768, 1, 1),
    "emo_net_2.6.conv1.weight": (128, 256, 3, 3),
}
"""Some of the tensors of `emonet_8.pth`, as far as is known."""


@pytest.fixture(scope="module")
def network() -> EmoNet:
    """With weights small enough that the product of features and heat maps stays small."""
    made = seeded(EmoNet())
    with torch.no_grad():
        made.l1.weight *= 1e-4
    return made


@pytest.fixture(scope="module")
def images() -> Tensor:
    return random_input("emotion network", 2)


def test_names_and_sizes(network: EmoNet) -> None:
    state = network.state_dict()
    assert {name: tuple(state[name].shape) for name in PUBLISHED} == PUBLISHED
    assert not {"bl1.weight", "al1.weight", "m2.b1_4.conv1.weight"} & state.keys()
    shapes = {name: tuple(value.shape) for name, value in emotion_layers(10).state_dict().items()}
    assert (shapes["0.weight"], shapes["1.running_var"], shapes["3.weight"]) == ((128, 256), (128,), (10, 128))


def test_the_published_file_is_a_whole_emotion_network(network: EmoNet) -> None:
    file = {f"module.{name}": value for name, value in network.state_dict().items()}
    file |= {f"module.emo_fc_2.{name}": value for name, value in seeded(emotion_layers(10)).state_dict().items()}
    found = published_state(file)
    made = EmotionNetwork(backbone="emonet")
    made.load_state_dict(found, strict=True)
    assert torch.equal(made.linear[3].weight, file["module.emo_fc_2.3.weight"])


def test_the_landmark_part_has_the_published_size() -> None:
    """2D-FAN-4: 24 million parameters (Bulat & Tzimiropoulos 2017)."""
    four = EmoNet(hourglasses=4).named_parameters()
    assert sum(value.numel() for name, value in four if not name.startswith(EmoNet.emotion_parts)) == 23_820_176


@torch.inference_mode()
def test_shapes_and_that_images_do_not_mix(network: EmoNet, images: Tensor) -> None:
    features = network(images)
    assert features.shape == (2, 256)
    assert network.heat_maps(images).shape == (2, 68, 64, 64)
    assert torch.equal(network(images), features)
    torch.testing.assert_close(network(images[1:]), features[1:], atol=1e-4 * float(features.abs().max()), rtol=0)


@torch.inference_mode()
def test_crops_are_seen_in_256_pixels(network: EmoNet, images: Tensor) -> None:
    larger = functional.interpolate(images, (256, 256), mode="bilinear", align_corners=False)
    assert torch.equal(network(larger), network(images))


@torch.inference_mode()
def test_hourglasses_count_only_where_the_heat_maps_say(images: Tensor) -> None:
    """Without heat the emotion comes from the first maps alone."""
    made = seeded(EmoNet())
    made.l1.weight.zero_()
    made.l1.bias.zero_()
    before = made(images)
    made.conv1x1_input_emo_2.weight[:, 256:] *= -3
    assert torch.equal(made(images), before)
    made.l1.bias.fill_(1e-3)
    assert not torch.equal(made(images), before)


@torch.inference_mode()
def test_an_hourglass_sees_all_of_the_map() -> None:
    """A far corner changes what is said of the first, which a single block of 3x3 convolutions cannot see."""
    module, maps = seeded(Hourglass()), torch.rand(1, 256, 64, 64, generator=torch.Generator().manual_seed(0))
    changed = maps.clone()
    changed[..., 48:, 48:] += 5
    moved = (module(changed) - module(maps)).abs()
    assert moved[..., :8, :8].max() > 1e-5 * moved.max()
    block = module.b1_4
    assert not (block(changed) - block(maps))[..., :40, :40].any()


def test_gradients_are_finite_and_reach_the_picture(network: EmoNet, images: Tensor) -> None:
    image = images[:1].clone().requires_grad_()
    network(image).mean().backward()
    assert image.grad.isfinite().all() and image.grad.abs().max() > 0
