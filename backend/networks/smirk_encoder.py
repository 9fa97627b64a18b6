# SPDX-License-Identifier: GPL-3.0-or-later
"""SMIRK's encoder: three small networks that see the same crop (Retsinas et al. 2024, section 3.1).

Coefficients are FLAME 2020's. Crops are (B, 3, 224, 224), RGB in [0, 1] without further normalisation.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from backend.networks.mobilenet import FEATURES, MinimalMobileNetV3, Size

IDENTITY, EXPRESSION, EYELIDS, ROTATION, CAMERA = 300, 50, 2, 3, 3
_JAW_ASIDE = 0.2
"""Radians that the jaw turns at most about y and z."""
_START_SCALE = 7.0
_EXPRESSION_PARTS = (slice(0, 50), slice(50, 52), slice(52, 55))


class PoseOutput(NamedTuple):
    """Of the pose network."""

    head_rotation: Tensor
    """(B, 3) axis-angle about the root joint, radians, head space."""
    camera: Tensor
    """(B, 3) s, tx, ty of the crop's weak perspective; tx and ty in metres."""


class ExpressionOutput(NamedTuple):
    """Of the expression network."""

    expression: Tensor
    """(B, 50) the first of FLAME's 100."""
    eyelids: Tensor
    """(B, 2) left, right of the person: 0 open to 1 closed."""
    jaw: Tensor
    """(B, 3) axis-angle, radians; x, which opens, is not negative, y and z are within 0.2."""


class SmirkOutput(NamedTuple):
    """Of all three networks; see `PoseOutput` and `ExpressionOutput`."""

    head_rotation: Tensor
    camera: Tensor
    identity: Tensor
    """(B, 300)."""
    expression: Tensor
    eyelids: Tensor
    jaw: Tensor


def split_pose(raw: Tensor) -> PoseOutput:
    """The parts of the pose network's head (B, 6)."""
    return PoseOutput(raw[:, :ROTATION], raw[:, ROTATION:])


def split_expression(raw: Tensor) -> ExpressionOutput:
    """The parts of the expression network's head (B, 55), within their limits."""
    expression, eyelids, jaw = (raw[:, part] for part in _EXPRESSION_PARTS)
    jaw = torch.cat((functional.relu(jaw[:, :1]), jaw[:, 1:].clamp(-_JAW_ASIDE, _JAW_ASIDE)), 1)
    return ExpressionOutput(expression, eyelids.clamp(0, 1), jaw)


class _Encoder(nn.Module):
    """Crops -> features (B, 576 or 960); the heads are named differently in each network."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.encoder = MinimalMobileNetV3(size)

    def pooled(self, crops: Tensor) -> Tensor:
        """The last map's mean over its pixels."""
        return functional.adaptive_avg_pool2d(self.encoder(crops), 1).flatten(1)


class PoseEncoder(_Encoder):
    """Crops -> head rotation and camera (B, 6), see `split_pose`."""

    def __init__(self) -> None:
        super().__init__("small")
        head = nn.Linear(FEATURES["small"], ROTATION + CAMERA)
        with torch.no_grad():
            head.weight *= 1e-3
            head.bias *= 1e-3
            head.weight[ROTATION] = 0
            head.bias[ROTATION] = _START_SCALE
        self.pose_cam_layers = nn.Sequential(head)

    def forward(self, crops: Tensor) -> Tensor:
        return self.pose_cam_layers(self.pooled(crops))


class ShapeEncoder(_Encoder):
    """Crops -> identity (B, 300)."""

    def __init__(self) -> None:
        super().__init__("large")
        head = nn.Linear(FEATURES["large"], IDENTITY)
        nn.init.zeros_(head.weight)
        nn.init.zeros_(head.bias)
        self.shape_layers = nn.Sequential(head)

    def forward(self, crops: Tensor) -> Tensor:
        return self.shape_layers(self.pooled(crops))


class ExpressionEncoder(_Encoder):
    """Crops -> expression, eyelids and jaw before their limits (B, 55), see `split_expression`."""

    def __init__(self) -> None:
        super().__init__("large")
        head = nn.Linear(FEATURES["large"], EXPRESSION + EYELIDS + ROTATION)
        with torch.no_grad():
            head.weight *= 0.1
            head.bias *= 0.1
        self.expression_layers = nn.Sequential(head)

    def forward(self, crops: Tensor) -> Tensor:
        return self.expression_layers(self.pooled(crops))


class SmirkEncoder(nn.Module):
    """Crops -> all parameters of the head (eq. 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.pose_encoder = PoseEncoder()
        self.shape_encoder = ShapeEncoder()
        self.expression_encoder = ExpressionEncoder()

    def forward(self, crops: Tensor) -> SmirkOutput:
        pose = split_pose(self.pose_encoder(crops))
        expression = split_expression(self.expression_encoder(crops))
        return SmirkOutput(*pose, self.shape_encoder(crops), *expression)
