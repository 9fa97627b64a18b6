# SPDX-License-Identifier: GPL-3.0-or-later
"""The emotion networks of EMOCA (Danecek et al. 2022, section 3.1): from a crop, and from head parameters."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional

from backend.networks.codes import EXPRESSION, IDENTITY, ROTATION
from backend.networks.emonet import emotion_layers
from backend.networks.emotion_backbones import FEATURES, Backbone
from backend.networks.emotion_backbones import backbone as make_backbone
from backend.networks.resnet50 import Graph

EMOTIONS = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt")
"""AffectNet's classes in the networks' order."""
OUTPUTS = len(EMOTIONS) + 2
_HIDDEN, _LAYERS = 2048, 4


class EmotionReadout(NamedTuple):
    """What an emotion network says of each face."""

    log_probabilities: Tensor
    """(B, 8) natural logarithms, in the order of `EMOTIONS`."""
    valence: Tensor
    """(B, 1) about -1 (unpleasant) to 1 (pleasant), not clamped."""
    arousal: Tensor
    """(B, 1) about -1 (calm) to 1 (excited), not clamped."""


def readout(outputs: Tensor) -> EmotionReadout:
    """Emotions of the ten raw outputs (B, 10)."""
    logits, valence, arousal = outputs.split((len(EMOTIONS), 1, 1), dim=1)
    return EmotionReadout(functional.log_softmax(logits, dim=1), valence, arousal)


class EmotionNetwork(nn.Module):
    """Crops (B, 3, 224, 224), RGB in [0, 1] without further normalisation -> the ten outputs of `readout` (B, 10).

    Args:
        graph: of the ResNet-50: `caffe` as it was trained; `torchvision` as SMIRK runs the same file.
        backbone: what reads the crops; the published network's is the ResNet-50. EmoNet's `linear` is its two layers.
    """

    def __init__(self, graph: Graph = "caffe", backbone: Backbone = "resnet50") -> None:
        super().__init__()
        self.backbone = make_backbone(backbone, graph)
        self.linear = emotion_layers(OUTPUTS) if backbone == "emonet" else nn.Linear(FEATURES[backbone], OUTPUTS)

    def features(self, crops: Tensor) -> Tensor:
        """The features (B, `FEATURES`) that EMOCA's and SMIRK's losses compare; 2048 of the ResNet-50."""
        return self.backbone(crops)

    def forward(self, crops: Tensor) -> Tensor:
        return self.linear(self.features(crops))


class EmotionMLP(nn.Module):
    """Head parameters (B, inputs) -> the ten outputs of `readout` (B, 10).

    Args:
        inputs: 153 in the published file: identity (100), expression (50), jaw (3). Files with more put the head
            rotation (3) before the jaw and the detail code (128) after it.
        hidden: width of its layers, 2048 in the published file.
    """

    def __init__(self, inputs: int = IDENTITY + EXPRESSION + ROTATION, hidden: int = _HIDDEN) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(_LAYERS):
            layers += [nn.Linear(inputs, hidden), nn.BatchNorm1d(hidden), nn.LeakyReLU(0.2)]
            inputs = hidden
        self.model = nn.Sequential(*layers, nn.Linear(hidden, OUTPUTS))

    def forward(self, parameters: Tensor) -> Tensor:
        return self.model(parameters)
