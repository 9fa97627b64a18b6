# SPDX-License-Identifier: GPL-3.0-or-later
"""Encoders: a crop to numbers, with DECA's names of parameters whatever the backbone."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from backend.networks.codes import ROTATION, ExpressionBranch
from backend.networks.emotion_backbones import FEATURES, Backbone, backbone
from backend.networks.face_encoder import FaceEncoder
from training.model.layout import CodeLayout

_HIDDEN = 1024


class SmallFaceEncoder(nn.Module):
    """`FaceEncoder` on another backbone than DECA's ResNet-50; for machines without a GPU.

    Args:
        name: the backbone.
        outputs: numbers it gives.
    """

    def __init__(self, name: Backbone, outputs: int) -> None:
        super().__init__()
        self.encoder = backbone(name)
        self.layers = nn.Sequential(nn.Linear(FEATURES[name], _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, outputs))

    def forward(self, crops: Tensor) -> Tensor:
        return self.layers(self.encoder(crops))


def face_encoder(name: Backbone, outputs: int) -> nn.Module:
    """Crops (B, 3, 224, 224) in [0, 1] -> (B, outputs); DECA's own for `resnet50`."""
    return FaceEncoder(outputs) if name == "resnet50" else SmallFaceEncoder(name, outputs)


@torch.no_grad()
def clone_expression(coarse: nn.Module, expression: nn.Module, layout: CodeLayout, branch: ExpressionBranch) -> None:
    """Let the expression encoder begin as the coarse one: where they overlap both give the same.

    The published training clones the backbone alone and begins the layers behind it at random.
    """
    expression.encoder.load_state_dict(coarse.encoder.state_dict())
    expression.layers[0].load_state_dict(coarse.layers[0].state_dict())
    start = layout.identity + layout.albedo
    middle = start + layout.expression + layout.eyelids
    rows = list(range(start, middle))
    rows += range(middle, middle + ROTATION) if branch.head_rotation else ()
    rows += range(middle + ROTATION, middle + 2 * ROTATION) if branch.jaw else ()
    expression.layers[2].weight.copy_(coarse.layers[2].weight[rows])
    expression.layers[2].bias.copy_(coarse.layers[2].bias[rows])
