# SPDX-License-Identifier: GPL-3.0-or-later
"""Training the network that tells emotion from head parameters (EMOCA, Danecek et al. 2022, section 4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from backend.networks.codes import EXPRESSION, IDENTITY, ROTATION
from backend.networks.emotion import EmotionMLP, readout
from training.losses.emotion import VALENCE_AROUSAL_TERMS, EmotionTruth, emotion_terms, shaken
from training.stages.stage import Batch, OptimiserSettings, Stage


@dataclass(frozen=True)
class EmotionMLPSettings:
    """What is trained.

    Attributes:
        inputs: numbers of a code; 153 in the published file, see `EmotionMLP`.
        hidden: width of the four layers, 2048 in the paper; `mien models add` takes only that.
        weights: of the terms `expression` (cross-entropy) and `valence_arousal` (shaken).
    """

    inputs: int = IDENTITY + EXPRESSION + ROTATION
    hidden: int = 2048
    weights: Mapping[str, float] = field(default_factory=lambda: {"expression": 1.0, "valence_arousal": 1.0})


class EmotionMLPStage(Stage):
    """Cross-entropy of eight classes, and shake-shake of the errors and correlations of valence and arousal.

    Items are `codes` (inputs,), `label`, `valence` and `arousal`. The part is named as in the published checkpoint:
    `mlp.model.*`.

    Args:
        settings: see there.
        optimiser: see there.
        seed: of the first weights and of the chances of the losses.
    """

    def __init__(self, settings: EmotionMLPSettings, optimiser: OptimiserSettings, seed: int = 0) -> None:
        super().__init__(settings.weights, optimiser)
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(seed)
            self.mlp = EmotionMLP(settings.inputs, settings.hidden)
        self._chances = torch.Generator().manual_seed(seed)

    def forward(self, codes: Tensor) -> Tensor:
        """Codes (B, inputs) -> outputs (B, 10), see `readout`."""
        return self.mlp(codes)

    def terms(self, batch: Batch) -> dict[str, Tensor]:
        found = readout(self(batch["codes"]).float())
        truth = EmotionTruth(batch["label"], batch["valence"], batch["arousal"])
        weights = shaken(len(VALENCE_AROUSAL_TERMS), self._chances) if self.training else None
        with self.exactly():
            return emotion_terms(found, truth, weights)
