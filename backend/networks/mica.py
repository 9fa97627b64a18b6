# SPDX-License-Identifier: GPL-3.0-or-later
"""MICA: a person's identity in metric size from who they are (Zielonka et al. 2022, section 3)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from backend.networks.arcface import EMBEDDING, ArcFace

IDENTITY = 300
_HIDDEN_LAYERS = 4


class MappingNetwork(nn.Module):
    """Embeddings of unit length (B, 512) -> identity coefficients of FLAME 2020 (B, 300)."""

    def __init__(self) -> None:
        super().__init__()
        widths = (EMBEDDING, *(_HIDDEN_LAYERS * [IDENTITY]))
        self.network = nn.ModuleList(nn.Linear(a, b) for a, b in zip(widths[:-1], widths[1:], strict=True))
        self.output = nn.Linear(IDENTITY, IDENTITY)
        for layer in (*self.network, self.output):
            nn.init.kaiming_normal_(layer.weight, a=0.2)
        self.output.weight.data *= 0.25

    def forward(self, embeddings: Tensor) -> Tensor:
        x = embeddings
        for layer in self.network:
            x = functional.leaky_relu(layer(x), 0.2)
        return self.output(x)


class Mica(nn.Module):
    """Aligned crops (B, 3, 112, 112), RGB in [-1, 1] -> identity coefficients of FLAME 2020 (B, 300).

    The file holds `arcface` and, under `flameModel`, `regressor`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.arcface = ArcFace()
        self.regressor = MappingNetwork()

    def forward(self, crops: Tensor) -> Tensor:
        return self.regressor(functional.normalize(self.arcface(crops)))
