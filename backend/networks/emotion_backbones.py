# SPDX-License-Identifier: GPL-3.0-or-later
"""Which networks can read a face before the emotion is told: the paper's ResNet-50 and others in its place."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Literal, NamedTuple, TypeVar

from torch import Tensor, nn

from backend.networks import emonet, mobilenet, resnet50, swin
from backend.networks.emonet import EmoNet
from backend.networks.mobilenet import MinimalMobileNetV3, Size
from backend.networks.resnet50 import Graph, ResNet50
from backend.networks.swin import SwinB

Backbone = Literal["resnet50", "swin_b", "emonet", "mobilenet_large", "mobilenet_small"]
"""`resnet50`: EMOCA's. `swin_b`, `emonet`: those that it was compared with. The two MobileNets, SMIRK's encoders, are
for machines without a GPU."""

Value = TypeVar("Value")

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
    "swin_b": _Choice(swin.FEATURES, lambda _: SwinB()),
    "emonet": _Choice(emonet.FEATURES, lambda _: EmoNet()),
    "mobilenet_large": _mobile("large"),
    "mobilenet_small": _mobile("small"),
}
_SIGNS: Mapping[Backbone, str] = {
    "resnet50": "layer1.0.conv1.weight",
    "swin_b": "patch_embed.proj.weight",
    "emonet": "conv1x1_input_emo_2.weight",
    "mobilenet_large": "blocks.6.0.conv.weight",
    "mobilenet_small": "blocks.5.0.conv.weight",
}
"""A tensor that each has and none after it."""
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


def backbone_state(name: Backbone, tensors: Mapping[str, Value]) -> dict[str, Value]:
    """The tensors of a backbone under the names that it has here, out of an emotion network or of its publisher's file.

    Args:
        name: which.
        tensors: of an `EmotionNetwork` on it, or of the published `resnet50_ft_weight.pkl`,
            `swin_base_patch4_window7_224` or `emonet_8.pth`. What is not the backbone's is left out or left over.
    """
    start = "backbone."
    if not any(key.startswith(start) for key in tensors):
        if name == "swin_b":
            return swin.published_state(tensors)
        if name != "emonet":
            return dict(tensors)
        tensors = emonet.published_state(tensors)
    return {key.removeprefix(start): value for key, value in tensors.items() if key.startswith(start)}


def backbone_of(names: Collection[str]) -> Backbone | None:
    """Which backbone tensors of these names belong to; None for others."""
    for name, sign in _SIGNS.items():
        if sign in names:
            return name
    return None
