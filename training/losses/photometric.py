# SPDX-License-Identifier: GPL-3.0-or-later
"""The render should look like the photo where both show the face."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Normalisation = Literal["image", "mask"]
"""`image` divides by all pixels, as DECA and EMOCA do: small faces count less. `mask` divides by those compared."""


def photometric_loss(render: Tensor, photo: Tensor, mask: Tensor, normalisation: Normalisation = "image") -> Tensor:
    """Absolute difference of masked colours (DECA, Feng et al. 2021, equation 6; EMOCA's `mean` normalisation).

    Args:
        render: (B, C, H, W) in [0, 1].
        photo: (B, C, H, W).
        mask: (B, 1, H, W) 0 to 1, 1 where they are compared.
        normalisation: what the sum over batch, channels and pixels is divided by.

    Returns:
        A scalar; 0 for an empty mask.
    """
    difference = mask * (render - photo).abs()
    if normalisation == "image":
        return difference.mean()
    compared = mask.expand_as(difference).sum()
    return difference.sum() / compared.clamp(min=torch.finfo(difference.dtype).tiny)
