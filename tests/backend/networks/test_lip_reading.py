# SPDX-License-Identifier: GPL-3.0-or-later
"""The lip reader's front-end: names and sizes, and that frames see their neighbours in time."""

from __future__ import annotations

import pytest
import torch

from backend.networks.lip_reading import SIDE, LipReading, activation_of
from tests.seeded_networks import seeded

PUBLISHED = {
    "frontend3D.0.weight": (64, 1, 5, 7, 7),
    "frontend3D.1.running_mean": (64,),
    "trunk.layer1.0.conv1.weight": (64, 64, 3, 3),
    "trunk.layer2.0.downsample.0.weight": (128, 64, 1, 1),
    "trunk.layer4.1.bn2.weight": (512,),
}
RESNET18 = 11_689_512
"""Parameters of a ResNet-18 for 1000 classes (He et al. 2016, as torchvision counts it)."""


@pytest.fixture(scope="module")
def network() -> LipReading:
    return seeded(LipReading())


def test_names_and_sizes(network: LipReading) -> None:
    state = network.state_dict()
    assert {name: tuple(state[name].shape) for name in PUBLISHED} == PUBLISHED
    rest = 3 * 64 * 49 + 2 * 64 + 512 * 1000 + 1000
    assert sum(parameter.numel() for parameter in network.trunk.parameters()) == RESNET18 - rest
    assert not any("relu" in name for name in state)


def test_slopes_tell_the_other_activation(network: LipReading) -> None:
    other = LipReading("prelu").state_dict()
    assert activation_of(network.state_dict()) == "swish"
    assert activation_of(other) == "prelu"
    assert other["frontend3D.2.weight"].shape == (64,) and other["trunk.layer3.1.relu2.weight"].shape == (256,)


@torch.inference_mode()
def test_two_frames_either_side_are_seen(network: LipReading) -> None:
    clip = torch.randn(1, 9, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    features = network(clip)
    assert features.shape == (1, 9, 512)
    changed = clip.clone()
    changed[:, 4] *= -1
    moved = (network(changed) - features).abs().amax(-1)[0] > 0
    assert moved.tolist() == [2 <= frame <= 6 for frame in range(9)]


@torch.inference_mode()
def test_clips_do_not_mix_and_one_frame_is_enough(network: LipReading) -> None:
    clips = torch.randn(3, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    features = network(clips)
    assert features.shape == (3, 1, 512)
    torch.testing.assert_close(network(clips[1:2])[0], features[1], atol=1e-4 * float(features.abs().max()), rtol=0)
