# SPDX-License-Identifier: GPL-3.0-or-later
"""EmoNet (Toisoul et al. 2021): the emotion out of what a landmark network sees.

A face alignment network (Bulat & Tzimiropoulos 2017) of two hourglasses finds 68 heat maps in images of 256 pixels.
Their sum says where its features matter, and four more blocks make the emotion of those. Names and shapes are meant to
be those of the published `emonet_8.pth`; neither it nor its code was at hand when this was written. Checked without it:
the landmark part has the names and, but for halving maps by their largest value and not by the mean, the outputs of
face-alignment 1.1's network, and with four hourglasses the 24 million parameters that its paper tells. What has no
tensors, such as which way maps are halved, a file that loads cannot confirm.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

FEATURES = 256
_SIDE = 256
_LANDMARKS = 68
_HOURGLASSES, _DEPTH = 2, 4
_WIDTH = 256
_BLOCKS = 4
_HIDDEN = 128

Value = TypeVar("Value")


class ConvBlock(nn.Module):
    """Three 3x3 convolutions, whose outputs stand beside each other, around a shortcut (Bulat's block)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        half, quarter = outputs // 2, outputs // 4
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, half, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(half)
        self.conv2 = nn.Conv2d(half, quarter, 3, 1, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(quarter)
        self.conv3 = nn.Conv2d(quarter, quarter, 3, 1, 1, bias=False)
        self.downsample: nn.Module | None = None
        if inputs != outputs:
            narrow = nn.Conv2d(inputs, outputs, 1, bias=False)
            self.downsample = nn.Sequential(nn.BatchNorm2d(inputs), nn.ReLU(), narrow)

    def forward(self, x: Tensor) -> Tensor:
        first = self.conv1(functional.relu(self.bn1(x)))
        second = self.conv2(functional.relu(self.bn2(first)))
        third = self.conv3(functional.relu(self.bn3(second)))
        shortcut = x if self.downsample is None else self.downsample(x)
        return torch.cat((first, second, third), 1) + shortcut


class Hourglass(nn.Module):
    """Maps (B, 256, H, W) -> the same shape: seen at this size and, through a smaller hourglass, at half of it.

    All of its blocks are its own, named by their level, as in the published file. H and W are multiples of 16.
    """

    def __init__(self) -> None:
        super().__init__()
        for level in range(_DEPTH, 0, -1):
            for branch in ("b1", "b2", "b3"):
                self.add_module(f"{branch}_{level}", ConvBlock(_WIDTH, _WIDTH))
        self.b2_plus_1 = ConvBlock(_WIDTH, _WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return self._level(_DEPTH, x)

    def _level(self, level: int, x: Tensor) -> Tensor:
        beside = self.get_submodule(f"b1_{level}")(x)
        small = self.get_submodule(f"b2_{level}")(functional.max_pool2d(x, 2))
        small = self._level(level - 1, small) if level > 1 else self.b2_plus_1(small)
        small = self.get_submodule(f"b3_{level}")(small)
        return beside + functional.interpolate(small, scale_factor=2.0, mode="nearest")


class EmoNet(nn.Module):
    """Images (B, 3, H, W), RGB in [0, 1] -> features (B, 256), what upstream calls `emo_feat_2`.

    Images are resized to 256 pixels. `emotion_layers` make the emotion of the features. In Toisoul's training the
    landmark part (all but `emotion_parts`) is a trained one and stays as it is.

    Args:
        hourglasses: how many follow one another.
    """

    emotion_parts = ("conv1x1_input_emo_2", "emo_net_2")

    def __init__(self, hourglasses: int = _HOURGLASSES) -> None:
        super().__init__()
        self._hourglasses = hourglasses
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3)
        self.bn1 = nn.BatchNorm2d(64)
        self.conv2 = ConvBlock(64, 128)
        self.conv3 = ConvBlock(128, 128)
        self.conv4 = ConvBlock(128, _WIDTH)
        for number in range(hourglasses):
            self._add_hourglass(number)
        self.conv1x1_input_emo_2 = nn.Conv2d(_WIDTH * (hourglasses + 1), _WIDTH, 1)
        halved = [layer for _ in range(_BLOCKS) for layer in (ConvBlock(_WIDTH, _WIDTH), nn.MaxPool2d(2, 2))]
        self.emo_net_2 = nn.Sequential(*halved)
        self.avg_pool_2 = nn.AvgPool2d(4)

    def forward(self, images: Tensor) -> Tensor:
        start, seen, heat = self._landmark_features(images)
        x = torch.cat((start, seen * heat.sum(1, keepdim=True)), 1)
        return self.avg_pool_2(self.emo_net_2(self.conv1x1_input_emo_2(x))).flatten(1)

    def heat_maps(self, images: Tensor) -> Tensor:
        """(B, 68, 64, 64) where each landmark of the iBUG markup is."""
        return self._landmark_features(images)[2]

    def _add_hourglass(self, number: int) -> None:
        self.add_module(f"m{number}", Hourglass())
        self.add_module(f"top_m_{number}", ConvBlock(_WIDTH, _WIDTH))
        self.add_module(f"conv_last{number}", nn.Conv2d(_WIDTH, _WIDTH, 1))
        self.add_module(f"l{number}", nn.Conv2d(_WIDTH, _LANDMARKS, 1))
        self.add_module(f"bn_end{number}", nn.BatchNorm2d(_WIDTH))
        if number < self._hourglasses - 1:
            self.add_module(f"bl{number}", nn.Conv2d(_WIDTH, _WIDTH, 1))
            self.add_module(f"al{number}", nn.Conv2d(_LANDMARKS, _WIDTH, 1))

    def _landmark_features(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The first maps (B, 256, 64, 64), those of all hourglasses beside each other, and the heat maps."""
        x = functional.interpolate(images, (_SIDE, _SIDE), mode="bilinear", align_corners=False)
        x = functional.relu(self.bn1(self.conv1(x)))
        x = start = self.conv4(self.conv3(functional.max_pool2d(self.conv2(x), 2)))
        seen = []
        for number in range(self._hourglasses):
            maps = self._part("top_m_", number)(self._part("m", number)(x))
            maps = functional.relu(self._part("bn_end", number)(self._part("conv_last", number)(maps)))
            heat = self._part("l", number)(maps)
            if number < self._hourglasses - 1:
                maps = self._part("bl", number)(maps)
                x = x + maps + self._part("al", number)(heat)
            seen.append(maps)
        return start, torch.cat(seen, 1), heat

    def _part(self, name: str, number: int) -> nn.Module:
        return self.get_submodule(f"{name}{number}")


def emotion_layers(outputs: int) -> nn.Sequential:
    """Features (B, 256) -> logits, valence and arousal (B, outputs); `emo_fc_2` in the published file."""
    return nn.Sequential(
        nn.Linear(FEATURES, _HIDDEN), nn.BatchNorm1d(_HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, outputs)
    )


def published_state(tensors: Mapping[str, Value]) -> dict[str, Value]:
    """The tensors of a published file under the names of an `EmotionNetwork`: `backbone.*` and `linear.*`."""
    plain = {name.removeprefix("module."): value for name, value in tensors.items()}
    place = re.compile(r"^(emo_fc_2\.)?")
    return {place.sub(lambda found: "linear." if found[1] else "backbone.", name): plain[name] for name in plain}
