# SPDX-License-Identifier: GPL-3.0-or-later
"""Features of VGG-16 and VGG-19 (Simonyan and Zisserman 2015), which perceptual losses compare."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

import torch
from torch import Tensor, nn

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's pictures, RGB in [0, 1]."""
_VGG19_READ = (11, 20)
"""Layers whose outputs the ID-MRF loss compares."""


def _layers(widths: Iterable[tuple[int, int]]) -> list[tuple[str, nn.Module]]:
    """Convolutions with ReLU and a pooling after each (width, number), named by their position."""
    layers: list[nn.Module] = []
    inputs = 3
    for width, count in widths:
        for _ in range(count):
            layers += [nn.Conv2d(inputs, width, 3, 1, 1), nn.ReLU()]
            inputs = width
        layers.append(nn.MaxPool2d(2))
    return [(str(position), layer) for position, layer in enumerate(layers)]


class _Features(nn.Module):
    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(_STD).view(1, 3, 1, 1))


class VGG16Features(_Features):
    """Images (B, 3, H, W), RGB in [0, 1] -> relu1_2, relu2_2, relu3_3 and relu4_3, as SMIRK's loss compares them.

    Channels 64, 128, 256, 512 at 1, 1/2, 1/4 and 1/8 of the size.
    """

    def __init__(self) -> None:
        super().__init__()
        layers = _layers(((64, 2), (128, 2), (256, 3), (512, 3)))
        bounds = ((0, 4), (4, 9), (9, 16), (16, 23))
        self.blocks = nn.ModuleList(nn.Sequential(OrderedDict(layers[a:b])) for a, b in bounds)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        x = (images - self.mean) / self.std
        features = []
        for block in self.blocks:
            x = block(x)
            features.append(x)
        return tuple(features)


class VGG19Features(_Features):
    """Images (B, 3, H, W), RGB in [0, 1] -> the features that DECA's ID-MRF loss compares.

    They are the ReLUs after the first convolution of the third and of the fourth block, which DECA calls relu3_2 and
    relu4_2: (B, 256, H / 4, W / 4) and (B, 512, H / 8, W / 8). The file's later layers are held and not run.
    """

    def __init__(self) -> None:
        super().__init__()
        self.vgg19 = nn.Sequential(OrderedDict(_layers(((64, 2), (128, 2), (256, 4), (512, 4), (512, 4)))))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        x, found = (images - self.mean) / self.std, []
        for position, layer in enumerate(self.vgg19[: _VGG19_READ[-1] + 1]):
            x = layer(x)
            if position in _VGG19_READ:
                found.append(x)
        return found[0], found[1]
