# SPDX-License-Identifier: GPL-3.0-or-later
"""Render and photo should be the same person to VGGFace2's network (DECA, Feng et al. 2021, equation 7)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

_MEAN_BGR = (91.4953, 103.8827, 131.0912)
_MARGIN = 10
_SIZE = 224


class FaceFeatures(nn.Module):
    """Crops (B, 3, 224, 224), RGB in [0, 1] -> what VGGFace2's network says of them (B, 2048).

    What is done to the picture first is DECA's, who trained with it: mean-free BGR in 0..255, ten pixels cut off at
    each side, and then doubled and lowered by one as if it were still in [0, 1].

    Args:
        network: VGGFace2's ResNet-50, `ResNet50("caffe", 8631)` with the weights of `resnet50_ft`.
    """

    mean: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(_MEAN_BGR).view(1, 3, 1, 1), persistent=False)

    def forward(self, crops: Tensor) -> Tensor:
        x = crops.flip(1) * 255 - self.mean
        x = x[..., _MARGIN:-_MARGIN, _MARGIN:-_MARGIN] * 2 - 1
        x = functional.interpolate(x, (_SIZE, _SIZE), mode="bilinear", align_corners=False)
        return self.network(x)


def identity_loss(render: Tensor, photo: Tensor) -> Tensor:
    """Mean over faces of 1 - cosine of their features (B, C); 1 for features that are zero."""
    return (1 - functional.cosine_similarity(render, photo, dim=1, eps=1e-8)).mean()
