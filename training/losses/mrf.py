# SPDX-License-Identifier: GPL-3.0-or-later
"""ID-MRF (Wang et al. 2018, Image Inpainting via Generative Multi-column CNNs), which DECA's detail stage uses.

Each patch of the target's features should be the nearest one of some patch of the render's.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

BANDWIDTH = 0.5
_LEAST_DISTANCE = 1e-5
_EPSILON = 1e-8
"""Least length of features. The published code divides by the length as it is, which gives NaN on flat pictures."""


def layer_loss(generated: Tensor, target: Tensor) -> Tensor:
    """ID-MRF of one layer, summed over the batch.

    Args:
        generated: (B, C, H, W) features of the render.
        target: (B, C, H, W) features of the photo.

    Returns:
        A scalar.
    """
    # One face at a time: at 256 pixels the similarities of one are a matrix of 4096 x 4096.
    return torch.stack([_loss(g, t) for g, t in zip(generated, target, strict=True)]).sum()


def mrf_loss(generated: tuple[Tensor, Tensor], target: tuple[Tensor, Tensor]) -> Tensor:
    """ID-MRF over the two layers of `VGG19Features`, summed over the batch.

    The style term has both layers and the content term the deeper one, each with weight 1, so that one counts twice.
    """
    shallow, deep = (layer_loss(g, t) for g, t in zip(generated, target, strict=True))
    return shallow + 2 * deep


def _loss(generated: Tensor, target: Tensor) -> Tensor:
    """Of one face, features (C, H, W)."""
    mean = target.mean(0, keepdim=True)  # of the channels, at each place
    places, patches = (functional.normalize((x - mean).flatten(1), dim=0, eps=_EPSILON) for x in (generated, target))
    distance = (1 - places.t() @ patches) / 2  # (generated places, target patches)
    relative = distance / (distance.amin(1, keepdim=True) + _LEAST_DISTANCE)
    # exp((1 - d) / h) over its sum: exp(1 / h) cancels.
    similarity = functional.softmax(-relative / BANDWIDTH, dim=1)
    return -similarity.amax(0).mean().log()
