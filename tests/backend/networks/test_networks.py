# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for the networks whatever their weights."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from backend.networks.arcface import ArcFace
from backend.networks.detail_decoder import DetailDecoder
from backend.networks.emotion import EMOTIONS, OUTPUTS, readout
from backend.networks.mobilenet import MinimalMobileNetV3, SameConv2d
from backend.networks.resnet50 import ResNet50
from backend.networks.smirk_encoder import PoseEncoder, ShapeEncoder, SmirkEncoder
from backend.networks.vgg import VGG19Features
from tests.seeded_networks import random_input, seeded, seeded_subject

SHAPES = {
    "DECA coarse encoder": (236,),
    "detail decoder": (1, 256, 256),
    "emotion network": (10,),
    "emotion MLP": (10,),
    "SMIRK pose encoder": (6,),
    "SMIRK shape encoder": (300,),
    "SMIRK expression encoder": (55,),
    "SMIRK translator": (3, 224, 224),
    "MICA mapping": (300,),
    "MICA": (300,),
}


@torch.inference_mode()
@pytest.mark.parametrize("name", SHAPES)
def test_shapes_and_that_images_of_a_batch_do_not_mix(name: str) -> None:
    network, inputs = seeded_subject(name), random_input(name, 2)
    both = network(inputs)
    assert both.shape == (2, *SHAPES[name])
    alone = network(inputs[1:])
    limit = 1e-4 * float(both.abs().max())
    torch.testing.assert_close(both[1:], alone, atol=limit, rtol=0)
    assert float((both[0] - both[1]).abs().max()) > limit


def test_same_padding_puts_the_odd_pixel_last() -> None:
    """Of a row of 4, the two windows of 3 start at 0 and 2; of a row of 5, the three start at -1, 1 and 3."""
    convolution = SameConv2d(1, 1)
    torch.nn.init.ones_(convolution.weight)

    def row(size: int) -> Tensor:
        return convolution(2.0 ** torch.arange(size).expand(1, 1, 3, size))[0, 0, -1]

    assert row(4).tolist() == [2 * (1 + 2 + 4), 2 * (4 + 8)]
    assert row(5).tolist() == [2 * (1 + 2), 2 * (2 + 4 + 8), 2 * (8 + 16)]


@torch.inference_mode()
def test_the_two_graphs_load_one_file_and_differ() -> None:
    image = random_input("emotion network", 1)
    caffe, plain = (seeded(ResNet50(graph))(image) for graph in ("caffe", "torchvision"))
    difference = (caffe - plain).abs().max() / plain.abs().max()
    assert 0.01 < difference < 0.5


def test_smirk_starts_with_the_mean_face_in_front_of_the_camera() -> None:
    crops = random_input("SMIRK encoder", 1)
    with torch.inference_mode():
        output = SmirkEncoder().eval()(crops)
    assert output.camera[0, 0].item() == 7
    assert not output.identity.any()
    assert float(output.head_rotation.abs().max()) < 0.05
    assert output.eyelids.min() >= 0 and output.eyelids.max() <= 1
    assert output.jaw[:, 0].min() >= 0 and output.jaw[:, 1:].abs().max() <= 0.2


def test_gradients_reach_the_first_layers() -> None:
    for network in (PoseEncoder(), ShapeEncoder()):
        torch.nn.init.normal_(list(network.children())[-1][0].weight)
        network(random_input("SMIRK encoder", 1)).sum().backward()
        assert network.encoder.conv_stem.weight.grad.abs().max() > 0


@torch.inference_mode()
def test_displacement_stays_within_a_centimetre_and_uses_its_own_eps() -> None:
    network, latents = seeded(DetailDecoder()), 30 * random_input("detail decoder", 1)
    displacement = network(latents)
    assert 1e-3 < displacement.abs().max() <= 0.01
    for norm in [layer for layer in network.conv_blocks if isinstance(layer, torch.nn.BatchNorm2d)][1:]:
        assert norm.eps == 0.8
        norm.eps = 1e-5
    assert (network(latents) - displacement).abs().max() > 1e-3


@torch.inference_mode()
def test_vgg19_reads_the_first_relus_of_blocks_three_and_four() -> None:
    network = seeded(VGG19Features(), ("mean", "std"))
    images = random_input("VGG-19 features", 1)[..., :64, :96]
    third, fourth = network(images)
    assert third.shape == (1, 256, 16, 24) and fourth.shape == (1, 512, 8, 12)
    assert third.min() == 0 and fourth.min() == 0
    x = (images - network.mean) / network.std
    for layer in network.vgg19[:10]:
        x = layer(x)
    torch.testing.assert_close(third, functional.relu(network.vgg19[10](x)))


def test_emotion_probabilities_sum_to_one() -> None:
    emotions = readout(torch.randn(5, OUTPUTS, generator=torch.Generator().manual_seed(0)))
    torch.testing.assert_close(emotions.log_probabilities.exp().sum(1), torch.ones(5))
    assert emotions.log_probabilities.shape == (5, len(EMOTIONS))
    assert emotions.valence.shape == emotions.arousal.shape == (5, 1)


def test_mobilenet_maps_are_a_32nd_of_the_image() -> None:
    maps = MinimalMobileNetV3("small").eval()(torch.rand(1, 3, 96, 160))
    assert maps.shape == (1, 576, 3, 5)


def test_arcface_wants_112_pixels() -> None:
    with pytest.raises(RuntimeError):
        ArcFace().eval()(torch.rand(1, 3, 128, 128))
