# SPDX-License-Identifier: GPL-3.0-or-later
"""MobileNetV3 "minimal" (Howard et al. 2019) in TensorFlow's conventions, without its classifier.

Minimal: all activations are ReLU, all kernels 3x3, no squeeze-and-excite. TensorFlow: a batch norm's eps is 1e-3, and a
convolution of stride 2 is padded so that the odd pixel is at the bottom and the right.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

Size = Literal["small", "large"]
FEATURES: dict[Size, int] = {"small": 576, "large": 960}

_EPS = 1e-3
_STEM = 16
_Plan = tuple[tuple[tuple[int, int, int], ...], ...]
_PLANS: dict[Size, _Plan] = {
    "small": (
        ((0, 16, 2),),
        ((72, 24, 2), (88, 24, 1)),
        ((96, 40, 2), (240, 40, 1), (240, 40, 1)),
        ((120, 48, 1), (144, 48, 1)),
        ((288, 96, 2), (576, 96, 1), (576, 96, 1)),
    ),
    "large": (
        ((0, 16, 1),),
        ((64, 24, 2), (72, 24, 1)),
        ((72, 40, 2), (120, 40, 1), (120, 40, 1)),
        ((240, 80, 2), (200, 80, 1), (184, 80, 1), (184, 80, 1)),
        ((480, 112, 1), (672, 112, 1)),
        ((672, 160, 2), (960, 160, 1), (960, 160, 1)),
    ),
}
"""Blocks of each stage: expanded width (0: none), outputs, stride."""


class SameConv2d(nn.Conv2d):
    """A 3x3 convolution of stride 2 with TensorFlow's SAME padding: ceil(size / 2) pixels."""

    def __init__(self, inputs: int, outputs: int, groups: int = 1) -> None:
        super().__init__(inputs, outputs, 3, 2, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(self.padded(x))

    @staticmethod
    def padded(x: Tensor) -> Tensor:
        """Maps (B, C, H, W) with the zeros around them that the windows reach."""
        across, down = x.shape[-1] % 2, x.shape[-2] % 2
        return functional.pad(x, (across, 1, down, 1))


def _depthwise(channels: int, stride: int) -> nn.Conv2d:
    if stride == 2:
        return SameConv2d(channels, channels, channels)
    return nn.Conv2d(channels, channels, 3, 1, 1, groups=channels, bias=False)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=_EPS)


class DepthwiseSeparable(nn.Module):
    """3x3 of each channel, then 1x1; a shortcut where shapes allow."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self._shortcut = stride == 1 and inputs == outputs
        self.conv_dw = _depthwise(inputs, stride)
        self.bn1 = _norm(inputs)
        self.conv_pw = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.bn2 = _norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.bn1(self.conv_dw(x)), inplace=True)
        y = self.bn2(self.conv_pw(y))
        return y + x if self._shortcut else y


class InvertedResidual(nn.Module):
    """1x1 to more channels, 3x3 of each, 1x1 to fewer; a shortcut where shapes allow."""

    def __init__(self, inputs: int, expanded: int, outputs: int, stride: int) -> None:
        super().__init__()
        self._shortcut = stride == 1 and inputs == outputs
        self.conv_pw = nn.Conv2d(inputs, expanded, 1, bias=False)
        self.bn1 = _norm(expanded)
        self.conv_dw = _depthwise(expanded, stride)
        self.bn2 = _norm(expanded)
        self.conv_pwl = nn.Conv2d(expanded, outputs, 1, bias=False)
        self.bn3 = _norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.bn1(self.conv_pw(x)), inplace=True)
        y = functional.relu(self.bn2(self.conv_dw(y)), inplace=True)
        y = self.bn3(self.conv_pwl(y))
        return y + x if self._shortcut else y


class Pointwise(nn.Module):
    """1x1, the last layer."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.bn1 = _norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.bn1(self.conv(x)), inplace=True)


class MinimalMobileNetV3(nn.Module):
    """Images (B, 3, H, W), RGB in [0, 1] -> the last map (B, 576 or 960, H / 32, W / 32)."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.conv_stem = SameConv2d(3, _STEM)
        self.bn1 = _norm(_STEM)
        stages: list[nn.Module] = []
        inputs = _STEM
        for plan in _PLANS[size]:
            blocks: list[nn.Module] = []
            for expanded, outputs, stride in plan:
                if expanded:
                    blocks.append(InvertedResidual(inputs, expanded, outputs, stride))
                else:
                    blocks.append(DepthwiseSeparable(inputs, outputs, stride))
                inputs = outputs
            stages.append(nn.Sequential(*blocks))
        stages.append(nn.Sequential(Pointwise(inputs, FEATURES[size])))
        self.blocks = nn.Sequential(*stages)

    def forward(self, images: Tensor) -> Tensor:
        return self.blocks(functional.relu(self.bn1(self.conv_stem(images)), inplace=True))
