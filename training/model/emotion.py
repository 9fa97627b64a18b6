# SPDX-License-Identifier: GPL-3.0-or-later
"""The emotion network whose features render and photo are compared by."""

from __future__ import annotations

from torch import nn

from backend.networks.emonet import published_state
from backend.networks.emotion import EmotionNetwork
from backend.networks.emotion_backbones import backbone_of
from blender_addon.contract.errors import ErrorCode, MienError
from training.model.starting import begin, weights

_START = "backbone."


def emotion_network(source: str) -> EmotionNetwork:
    """An emotion network by a kind of the store or the path of a checkpoint; its backbone is seen from the names.

    Args:
        source: see `weights`; the published `emonet_8.pth` is one, too.

    Raises:
        MienError: MISSING_FILE, BAD_WEIGHTS.
    """
    tensors = weights(source)
    if backbone_of({key.removeprefix("module.") for key in tensors}) == "emonet":
        tensors = published_state(tensors)
    name = backbone_of({key.removeprefix(_START) for key in tensors if key.startswith(_START)})
    if name is None:
        message = f"{source} is no emotion network."
        raise MienError(ErrorCode.BAD_WEIGHTS, message, "Name a checkpoint of 'mien train emotion-network'.")
    network = EmotionNetwork(backbone=name)
    begin(network, tensors, "", source)
    return network.eval()


def frozen_emotion(source: str) -> nn.Module:
    """Its backbone alone: crops (B, 3, 224, 224) -> features (B, C). Frozen by whoever uses it."""
    return emotion_network(source).backbone
