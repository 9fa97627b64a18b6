# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps codes near the mean face and light near white."""

from __future__ import annotations

from torch import Tensor


def code_loss(codes: Tensor) -> Tensor:
    """Sum of squares over the whole batch / 2, not divided by the batch (DECA's shape, expression and albedo terms)."""
    return codes.square().sum() / 2


def light_loss(light: Tensor) -> Tensor:
    """Colour of the light: mean of (mean over RGB - light)^2, over batch, bands and RGB; light (B, 9, 3)."""
    return (light.mean(2, keepdim=True) - light).square().mean()
