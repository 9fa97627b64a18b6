# SPDX-License-Identifier: GPL-3.0-or-later
"""The choice of backbones of the emotion network."""

from __future__ import annotations

from typing import get_args

import pytest
import torch

from backend.networks.emotion import OUTPUTS, EmotionNetwork
from backend.networks.emotion_backbones import FEATURES, Backbone, backbone, backbone_of
from backend.networks.inference import laid_out, optimised
from backend.networks.smirk_encoder import SmirkEncoder
from tests.seeded_networks import random_input


@torch.inference_mode()
@pytest.mark.parametrize("name", get_args(Backbone))
def test_each_gives_features_and_the_ten_outputs_also_when_it_is_made_faster(name: Backbone) -> None:
    torch.manual_seed(0)
    network, crops = EmotionNetwork(backbone=name).eval(), random_input("emotion network", 2)
    features, outputs = network.features(crops), network(crops)
    assert features.shape == (2, FEATURES[name])
    assert outputs.shape == (2, OUTPUTS)
    assert torch.equal(network.linear(features), outputs)
    assert not torch.equal(features[0], features[1])
    faster = optimised(network)(laid_out(crops))
    torch.testing.assert_close(faster, outputs, atol=1e-5 * float(outputs.abs().max()), rtol=0)


def test_names_tell_the_backbone_and_smirks_encoders_are_none() -> None:
    with torch.device("meta"):
        for name in get_args(Backbone):
            assert backbone_of(backbone(name).state_dict().keys()) == name
        assert backbone_of(SmirkEncoder().state_dict().keys()) is None


def test_the_graph_is_the_resnets() -> None:
    crops = random_input("emotion network", 1)
    torch.manual_seed(0)
    caffe = EmotionNetwork("caffe").eval()
    plain = EmotionNetwork("torchvision").eval()
    plain.load_state_dict(caffe.state_dict())
    with torch.inference_mode():
        assert not torch.allclose(caffe(crops), plain(crops), atol=1e-4)


def test_an_unknown_one_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="no backbone 'vgg'; there are resnet50, swin_b, emonet"):
        backbone("vgg")  # type: ignore[arg-type]
