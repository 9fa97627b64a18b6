# SPDX-License-Identifier: GPL-3.0-or-later
"""What a lip reader sees of a mouth: the front-end of the visual speech recognition of Ma et al. (2021, 2022).

A convolution over time and space, then a ResNet-18 on each frame. What makes words of its features is not here. Names
and shapes are meant to be those of the published `model.pth` (of LRS3, 32.3 % of words wrong) behind
`encoder.frontend.`; that file was not at hand when this was written. Checked without it: the trunk has as many
parameters as a ResNet-18 has between its first convolution and its classifier.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

FEATURES = 512
SIDE = 88
"""Pixels of a picture's side."""

Activation = Literal["swish", "prelu"]
"""`swish`: of the published models on LRS3. `prelu`: of others of the same shapes, which hold its slopes."""

_WIDTHS = (64, 128, 256, 512)
_BLOCKS = 2


def activation_of(names: Collection[str]) -> Activation:
    """Which activation a file was trained with, by the names of its tensors."""
    return "prelu" if any(name.endswith("relu1.weight") for name in names) else "swish"


def _activation(kind: Activation, channels: int) -> nn.Module:
    return nn.PReLU(channels) if kind == "prelu" else nn.SiLU()


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int, activation: Activation) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu1 = _activation(activation, outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu2 = _activation(activation, outputs)
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        return self.relu2(x + shortcut)


class Trunk(nn.Module):
    """Maps (N, 64, 22, 22) -> features (N, 512): a ResNet-18 without its beginning."""

    def __init__(self, activation: Activation) -> None:
        super().__init__()
        inputs = _WIDTHS[0]
        for number, width in enumerate(_WIDTHS, start=1):
            blocks = []
            for block in range(_BLOCKS):
                stride = 2 if number > 1 and block == 0 else 1
                blocks.append(BasicBlock(inputs, width, stride, activation))
                inputs = width
            self.add_module(f"layer{number}", nn.Sequential(*blocks))

    def forward(self, x: Tensor) -> Tensor:
        return functional.adaptive_avg_pool2d(self.layer4(self.layer3(self.layer2(self.layer1(x)))), 1).flatten(1)


class LipReading(nn.Module):
    """Grey mouths (B, T, 88, 88), less their mean and in units of their deviation -> features (B, T, 512).

    Args:
        activation: see `Activation`.
    """

    def __init__(self, activation: Activation = "swish") -> None:
        super().__init__()
        width = _WIDTHS[0]
        self.frontend3D = nn.Sequential(
            nn.Conv3d(1, width, (5, 7, 7), (1, 2, 2), (2, 3, 3), bias=False),
            nn.BatchNorm3d(width),
            _activation(activation, width),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
        )
        self.trunk = Trunk(activation)

    def forward(self, mouths: Tensor) -> Tensor:
        maps = self.frontend3D(mouths[:, None]).transpose(1, 2)
        return self.trunk(maps.flatten(0, 1)).unflatten(0, mouths.shape[:2])
