# SPDX-License-Identifier: GPL-3.0-or-later
"""ArcFace's IResNet-100: who a face belongs to (Deng et al. 2019; Duta et al. 2020)."""

from __future__ import annotations

from torch import Tensor, nn

EMBEDDING = 512
INPUT_SIZE = 112
_STAGES = ((64, 3), (128, 13), (256, 30), (512, 3))
_LAST_MAP = 7


class ImprovedBlock(nn.Module):
    """Batch norm, two 3x3 convolutions, and a shortcut; nothing follows the sum."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.prelu = nn.PReLU(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.downsample: nn.Module | None = None
        if stride != 1:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        y = self.prelu(self.bn2(self.conv1(self.bn1(x))))
        return self.bn3(self.conv2(y)) + shortcut


class ArcFace(nn.Module):
    """Aligned crops (B, 3, 112, 112), RGB in [-1, 1] -> embeddings (B, 512), not normalised."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.prelu = nn.PReLU(64)
        inputs = 64
        for number, (width, blocks) in enumerate(_STAGES, start=1):
            stage = []
            for block in range(blocks):
                stage.append(ImprovedBlock(inputs, width, 2 if block == 0 else 1))
                inputs = width
            self.add_module(f"layer{number}", nn.Sequential(*stage))
        self.bn2 = nn.BatchNorm2d(inputs)
        self.fc = nn.Linear(inputs * _LAST_MAP * _LAST_MAP, EMBEDDING)
        self.features = nn.BatchNorm1d(EMBEDDING)

    def forward(self, crops: Tensor) -> Tensor:
        x = self.prelu(self.bn1(self.conv1(crops)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.features(self.fc(self.bn2(x).flatten(1)))
