# SPDX-License-Identifier: GPL-3.0-or-later
"""The choice of backbones of the emotion network."""

from __future__ import annotations

from typing import get_args

import pytest
import torch

from backend.networks.emotion import OUTPUTS, EmotionNetwork
from backend.networks.emotion_backbones import FEATURES, Backbone, backbone
from backend.networks.inference import laid_out, optimised
from tests.seeded_networks import random_input


@torch.inference_mode()
@pytest.mark.parametrize("name", get_args(Backbone))
def test_each_gives_features_and_the_ten_outputs_also_when_it_is_made_faster(name: Backbone) -> None:
    torch.manual_seed(0)
    network, crops = EmotionNetwork(backbone=name).eval(), random_input("emotion network", 2)
    features, outputs = network.features(crops), network(crops)
    assert features.shape == (2, FEATURES[name])
    assert outputs.shape == (2, OUTPUTS)
    assert torch.equal(network.head(features), outputs)
    assert not torch.equal(features[0], features[1])
    faster = optimised(network)(laid_out(crops))
    torch.testing.assert_close(faster, outputs, atol=1e-5 * float(outputs.abs().max()), rtol=0)


def test_the_head_is_the_only_thing_beside_the_backbone() -> None:
    for name in ("mobilenet_small", "emonet"):
        network = EmotionNetwork(backbone=name)
        head = {id(parameter) for parameter in network.head.parameters()}
        own = ("linear.", "backbone.emo_fc_2.")
        rest = {id(value) for key, value in network.named_parameters() if not key.startswith(own)}
        assert head and not head & rest
        assert len(head) + len(rest) == len(list(network.parameters()))


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
