# SPDX-License-Identifier: GPL-3.0-or-later
"""Which networks can read a face before the emotion is told: the paper's ResNet-50 and others in its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from torch import Tensor, nn

from backend.networks import mobilenet, resnet50
from backend.networks.mobilenet import MinimalMobileNetV3, Size
from backend.networks.resnet50 import Graph, ResNet50

Backbone = Literal["resnet50", "mobilenet_large", "mobilenet_small"]
"""`resnet50`: EMOCA's. The two MobileNets, SMIRK's encoders, are for machines without a GPU."""

_VGGFACE2_PEOPLE = 8631


class PooledMobileNet(MinimalMobileNetV3):
    """Images (B, 3, H, W), RGB in [0, 1] -> features (B, 576 or 960): the last map's mean over its pixels."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images).mean((2, 3))


class _Choice(NamedTuple):
    features: int
    build: Callable[[Graph], nn.Module]


def _mobile(size: Size) -> _Choice:
    return _Choice(mobilenet.FEATURES[size], lambda _: PooledMobileNet(size))


_CHOICES: Mapping[Backbone, _Choice] = {
    "resnet50": _Choice(resnet50.FEATURES, lambda graph: ResNet50(graph, _VGGFACE2_PEOPLE)),
    "mobilenet_large": _mobile("large"),
    "mobilenet_small": _mobile("small"),
}
FEATURES: Mapping[Backbone, int] = {name: choice.features for name, choice in _CHOICES.items()}
"""How many features each gives."""


def backbone(name: Backbone, graph: Graph = "caffe") -> nn.Module:
    """A network that makes features (B, `FEATURES[name]`) of crops (B, 3, 224, 224), RGB in [0, 1].

    Args:
        name: which.
        graph: of the ResNet-50; the others have one alone.

    Raises:
        ValueError: there is none of that name.
    """
    if name not in _CHOICES:
        raise ValueError(f"there is no backbone {name!r}; there are {', '.join(_CHOICES)}")
    return _CHOICES[name].build(graph)
