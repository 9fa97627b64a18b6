# SPDX-License-Identifier: GPL-3.0-or-later
"""DECA's and EMOCA's encoders: a face crop to coefficients (Feng et al. 2021, section 4; Danecek et al. 2022)."""

from __future__ import annotations

from torch import Tensor, nn

from backend.networks.resnet50 import FEATURES, ResNet50

_HIDDEN = 1024


class FaceEncoder(nn.Module):
    """Crops (B, 3, 224, 224), RGB in [0, 1] without further normalisation -> coefficients (B, outputs).

    Args:
        outputs: 236 for DECA's coarse code, 128 for its detail code, 50, 53 or 56 for EMOCA's expression
            (`backend.networks.codes`).
    """

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.encoder = ResNet50("torchvision")
        self.layers = nn.Sequential(nn.Linear(FEATURES, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, outputs))

    def forward(self, crops: Tensor) -> Tensor:
        return self.layers(self.encoder(crops))
