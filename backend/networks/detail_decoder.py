# SPDX-License-Identifier: GPL-3.0-or-later
"""DECA's and EMOCA's detail decoder: wrinkles as a displacement map in UV space (Feng et al. 2021, section 4.2)."""

from __future__ import annotations

from torch import Tensor, nn

from backend.networks.codes import DETAIL, EXPRESSION, ROTATION

LATENT = ROTATION + EXPRESSION + DETAIL
MAP_SIZE = 256
_MAX_DISPLACEMENT = 0.01
"""Metres."""
_EPS = 0.8
"""Of the batch norms; in the published graph it stands where the momentum was meant, and the weights rely on it."""
_WIDTHS = (128, 128, 64, 64, 32, 16)
_START = 8


class DetailDecoder(nn.Module):
    """Latents (B, 181), jaw, expression and detail code -> displacement along the normal (B, 1, 256, 256), metres.

    Positive is outwards. Row 0 is the top of the UV layout (v = 1). Within 1 cm either way.

    Args:
        latent: numbers of a latent; FLAME's by default, heads with other expressions have others.
    """

    def __init__(self, latent: int = LATENT) -> None:
        super().__init__()
        self.l1 = nn.Sequential(nn.Linear(latent, _WIDTHS[0] * _START * _START))
        blocks: list[nn.Module] = [nn.BatchNorm2d(_WIDTHS[0])]
        for inputs, outputs in zip(_WIDTHS[:-1], _WIDTHS[1:], strict=True):
            blocks += [
                nn.Upsample(scale_factor=2, mode="bilinear"),
                nn.Conv2d(inputs, outputs, 3, 1, 1),
                nn.BatchNorm2d(outputs, _EPS),
                nn.LeakyReLU(0.2, inplace=True),
            ]
        self.conv_blocks = nn.Sequential(*blocks, nn.Conv2d(_WIDTHS[-1], 1, 3, 1, 1), nn.Tanh())

    def forward(self, latents: Tensor) -> Tensor:
        maps = self.l1(latents).unflatten(1, (_WIDTHS[0], _START, _START))
        return self.conv_blocks(maps) * _MAX_DISPLACEMENT
