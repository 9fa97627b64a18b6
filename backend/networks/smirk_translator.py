# SPDX-License-Identifier: GPL-3.0-or-later
"""SMIRK's image translator: a grey render and what is left of the photo to a photo (Retsinas et al. 2024, section 3.2).

Only training needs it; tracking does not.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional

_WIDTHS = (32, 64, 128, 256, 512)
_RESIDUAL_BLOCKS = 5


def _block(inputs: int, outputs: int, prefix: str) -> nn.Sequential:
    """Two 3x3 convolutions, named as in the file."""
    layers: list[tuple[str, nn.Module]] = []
    for number, width in ((1, inputs), (2, outputs)):
        layers += [
            (f"{prefix}conv{number}", nn.Conv2d(width, outputs, 3, 1, 1, bias=False)),
            (f"{prefix}norm{number}", nn.BatchNorm2d(outputs)),
            (f"{prefix}relu{number}", nn.ReLU(inplace=True)),
        ]
    return nn.Sequential(OrderedDict(layers))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with mirrored borders around a shortcut; nothing follows the sum."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(width, width, 3, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.ReflectionPad2d(1),
            nn.Conv2d(width, width, 3, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block(x)


class SmirkTranslator(nn.Module):
    """Render and masked photo (B, 6, H, W), RGB in [0, 1] -> photo (B, 3, H, W) in [0, 1].

    A U-Net with residual blocks at its bottom. H and W are multiples of 16.
    """

    def __init__(self) -> None:
        super().__init__()
        inputs = 6
        for number, width in enumerate(_WIDTHS[:-1], start=1):
            self.add_module(f"encoder{number}", _block(inputs, width, f"enc{number}"))
            inputs = width
        self.bottleneck = _block(inputs, _WIDTHS[-1], "bottleneck")
        self.resnet_blocks = nn.Sequential(*(ResidualBlock(_WIDTHS[-1]) for _ in range(_RESIDUAL_BLOCKS)))
        for number in range(len(_WIDTHS) - 1, 0, -1):
            width = _WIDTHS[number - 1]
            self.add_module(f"upconv{number}", nn.ConvTranspose2d(2 * width, width, 2, 2))
            self.add_module(f"decoder{number}", _block(2 * width, width, f"dec{number}"))
        self.conv = nn.Conv2d(_WIDTHS[0], 3, 1)

    def logits(self, images: Tensor) -> Tensor:
        """What the sigmoid is applied to."""
        skips: list[Tensor] = []
        x = images
        for number in range(1, len(_WIDTHS)):
            x = self.get_submodule(f"encoder{number}")(x)
            skips.append(x)
            x = functional.max_pool2d(x, 2)
        x = self.resnet_blocks(self.bottleneck(x))
        for number in range(len(_WIDTHS) - 1, 0, -1):
            x = torch.cat((self.get_submodule(f"upconv{number}")(x), skips[number - 1]), 1)
            x = self.get_submodule(f"decoder{number}")(x)
        return self.conv(x)

    def forward(self, images: Tensor) -> Tensor:
        return torch.sigmoid(self.logits(images))
