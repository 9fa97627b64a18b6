# SPDX-License-Identifier: GPL-3.0-or-later
"""Training the network that sees emotion in a picture (EMOCA, Danecek et al. 2022, section 3.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from backend.networks.emotion import EmotionNetwork, readout
from backend.networks.emotion_backbones import Backbone
from training.losses.emotion import VALENCE_AROUSAL_TERMS, EmotionTruth, emotion_terms, shaken
from training.stages.stage import Batch, OptimiserSettings, Stage


@dataclass(frozen=True)
class EmotionNetworkSettings:
    """What is trained.

    Attributes:
        backbone: ResNet-50 is the paper's.
        train_linear: whether the last layer learns. The published network's did not: its optimiser held the backbone
            alone.
        weights: of the terms `expression` (cross-entropy) and `valence_arousal` (shaken).
        without_background: chance that a picture is shown on black, as EMOCA's renders are (0 in the paper).
    """

    backbone: Backbone = "resnet50"
    train_linear: bool = True
    weights: Mapping[str, float] = field(default_factory=lambda: {"expression": 1.0, "valence_arousal": 1.0})
    without_background: float = 0.0


class EmotionNetworkStage(Stage):
    """Cross-entropy of eight classes, and shake-shake of the errors and correlations of valence and arousal.

    The parts are named as in the published checkpoint: `backbone.*`, `linear.*`.
    """

    def __init__(self, settings: EmotionNetworkSettings, optimiser: OptimiserSettings) -> None:
        super().__init__(settings.weights, optimiser)
        network = EmotionNetwork(backbone=settings.backbone)
        self.backbone, self.linear = network.backbone, network.linear
        self._without_background = settings.without_background
        if not settings.train_linear:
            self.freeze(self.linear)
        if hasattr(self.backbone, "fc"):  # a classifier that some files hold and nothing uses
            self.freeze(self.backbone.fc)

    def forward(self, crops: Tensor) -> Tensor:
        """Crops (B, 3, 224, 224) -> outputs (B, 10), see `readout`."""
        return self.linear(self.backbone(crops))

    def terms(self, batch: Batch) -> dict[str, Tensor]:
        with self.clock.part("encoder"):
            found = readout(self(self._seen(batch)).float())
        with self.clock.part("losses"), self.exactly():
            truth = EmotionTruth(batch["label"], batch["valence"], batch["arousal"])
            weights = shaken(len(VALENCE_AROUSAL_TERMS)) if self.training else None
            right = (found.log_probabilities.argmax(1) == truth.label).sum() / (truth.label >= 0).sum().clamp(min=1)
            return emotion_terms(found, truth, weights) | {"accuracy": right}

    def _seen(self, batch: Batch) -> Tensor:
        if not (self.training and self._without_background):
            return batch["image"]
        chosen = torch.rand(len(batch["image"]), 1, 1, 1, device=batch["image"].device) < self._without_background
        return torch.where(chosen, batch["image"] * batch["mask"], batch["image"])
