# SPDX-License-Identifier: GPL-3.0-or-later
"""ResNet-50 without its classifier's use (He et al. 2016), in the two graphs that share one set of tensors.

The graphs differ in where a stage takes its stride and in the pooling after the first convolution. A file of one loads
into the other without an error and gives other features, so the graph is always named.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

Graph = Literal["torchvision", "caffe"]
"""`torchvision`: DECA's and EMOCA's encoders. `caffe`: VGGFace2's network, on which the emotion network was trained."""

FEATURES = 2048
_STAGES = ((64, 3), (128, 4), (256, 6), (512, 3))
_EXPANSION = 4


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions around a shortcut; the stride is the 3x3's, in Caffe's graph the first 1x1's."""

    def __init__(self, inputs: int, width: int, stride: int, graph: Graph) -> None:
        super().__init__()
        first, second = (stride, 1) if graph == "caffe" else (1, stride)
        outputs = width * _EXPANSION
        self.conv1 = nn.Conv2d(inputs, width, 1, first, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, second, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module | None = None
        if inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        x = functional.relu(self.bn2(self.conv2(x)), inplace=True)
        return functional.relu(self.bn3(self.conv3(x)) + shortcut, inplace=True)


class ResNet50(nn.Module):
    """Images (B, 3, 224, 224), RGB in [0, 1] -> features (B, 2048).

    The mean over the last map is a window of 7x7, so the input must be 224 pixels.

    Args:
        graph: see `Graph`.
        classes: outputs of the classifier `fc` that some files hold and nothing here uses; none by default.
    """

    def __init__(self, graph: Graph, classes: int | None = None) -> None:
        super().__init__()
        self._graph: Graph = graph
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        inputs = 64
        for number, (width, blocks) in enumerate(_STAGES, start=1):
            stage = []
            for block in range(blocks):
                stride = 2 if number > 1 and block == 0 else 1
                stage.append(Bottleneck(inputs, width, stride, graph))
                inputs = width * _EXPANSION
            self.add_module(f"layer{number}", nn.Sequential(*stage))
        if classes is not None:
            self.fc = nn.Linear(FEATURES, classes)

    def forward(self, images: Tensor) -> Tensor:
        x = functional.relu(self.bn1(self.conv1(images)), inplace=True)
        if self._graph == "caffe":
            x = functional.max_pool2d(x, 3, 2, ceil_mode=True)
        else:
            x = functional.max_pool2d(x, 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return functional.avg_pool2d(x, 7, 1).flatten(1)
