# SPDX-License-Identifier: GPL-3.0-or-later
"""The emotion network whose features render and photo are compared by."""

from __future__ import annotations

from torch import nn

from backend.networks.emotion import EmotionNetwork
from backend.networks.emotion_backbones import Backbone
from blender_addon.contract.errors import ErrorCode, MienError
from training.model.starting import begin, weights

_SIGNS: tuple[tuple[str, Backbone], ...] = (
    ("backbone.patch_embed.proj.weight", "swin_b"),
    ("backbone.conv1x1_input_emo_2.weight", "emonet"),
    ("backbone.layer1.0.conv1.weight", "resnet50"),
)


def emotion_network(source: str) -> EmotionNetwork:
    """An emotion network by a kind of the store or the path of a checkpoint; its backbone is seen from the names.

    Raises:
        MienError: MISSING_FILE, BAD_WEIGHTS.
    """
    tensors = weights(source)
    for sign, name in _SIGNS:
        if sign in tensors:
            return _loaded(name, tensors, source)
    for name in ("mobilenet_large", "mobilenet_small"):
        network = EmotionNetwork(backbone=name)
        width = tensors.get("linear.weight")
        if width is not None and width.shape == network.linear.weight.shape:
            return _loaded(name, tensors, source)
    message = f"{source} is no emotion network."
    raise MienError(ErrorCode.BAD_WEIGHTS, message, "Name a checkpoint of 'mien train emotion-network'.")


def frozen_emotion(source: str) -> nn.Module:
    """Its backbone alone: crops (B, 3, 224, 224) -> features (B, C). Frozen by whoever uses it."""
    return emotion_network(source).backbone


def _loaded(name: Backbone, tensors: dict, source: str) -> EmotionNetwork:
    network = EmotionNetwork(backbone=name)
    begin(network, tensors, "", source)
    return network.eval()
