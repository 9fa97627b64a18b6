# SPDX-License-Identifier: GPL-3.0-or-later
"""Render and photo should say the same to a lip reader (SPECTRE, Filntisis et al. 2022; taken up by EMOCA v2).

Each picture is a sequence of its own. Mouths are cut out around the landmarks of their own picture, so that the loss
speaks of the mouth's shape and not of its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from backend.engines.files import build, required
from backend.networks.lip_reading import SIDE, LipReading
from training.losses.emotion import feature_loss

LipMetric = Literal["l2", "cosine"]

WEIGHTS: Mapping[LipMetric, float] = MappingProxyType({"l2": 20.0, "cosine": 1.5})
"""EMOCA v2's, of its models `lr_mse_20` and `lr_cos_1.5`."""
_MOUTH = slice(48, 68)
_CROP = 96
_GREY = (0.2989, 0.587, 0.114)
_MEAN, _DEVIATION = 0.421, 0.165


class LipFeatures(nn.Module):
    """Crops with their landmarks -> what the lip reader says of the mouths.

    Args:
        network: of `backend.networks.lip_reading`, with weights.
    """

    def __init__(self, network: LipReading) -> None:
        super().__init__()
        self.network = network.eval().requires_grad_(False)

    def forward(self, images: Tensor, landmarks: Tensor) -> Tensor:
        """Features (B, 512).

        Args:
            images: (B, 3, H, W) RGB in [0, 1].
            landmarks: (B, 68, >=2) crop NDC, iBUG's order; without gradient, for they only say where to look.
        """
        margin = (_CROP - SIDE) // 2
        grey = torch.einsum("bchw,c->bhw", mouth_crops(images, landmarks), images.new_tensor(_GREY))
        inner = grey[:, margin:-margin, margin:-margin]
        return self.network(((inner - _MEAN) / _DEVIATION)[:, None])[:, 0].float()


def mouth_crops(images: Tensor, landmarks: Tensor) -> Tensor:
    """(B, C, 96, 96) pixels around the mean of the mouth's points, black outside the picture.

    Args:
        images: (B, C, H, W) square.
        landmarks: (B, 68, >=2) crop NDC: -1 and 1 are the outer edges of the outer pixels.
    """
    size = images.shape[-1]
    centre = (landmarks[:, _MOUTH, :2].detach().mean(1) + 1) * size / 2 - 0.5
    steps = torch.arange(_CROP, device=images.device, dtype=images.dtype) - (_CROP - 1) / 2
    across, down = (centre[:, axis, None] + steps for axis in (0, 1))
    places = torch.stack((across[:, None].expand(-1, _CROP, -1), down[:, :, None].expand(-1, -1, _CROP)), -1)
    grid = 2 * places / (size - 1) - 1
    return functional.grid_sample(images, grid, mode="bicubic", padding_mode="zeros", align_corners=True)


def lip_reading_loss(
    features: LipFeatures,
    render: Tensor,
    render_landmarks: Tensor,
    photo: Tensor,
    photo_landmarks: Tensor,
    metric: LipMetric = "l2",
) -> Tensor:
    """How far apart the lip reader finds render and photo; multiply by `WEIGHTS[metric]`.

    Args:
        features: of the lip reader.
        render: (B, 3, H, W) with gradient.
        render_landmarks: (B, 68, >=2) crop NDC, of the head.
        photo: (B, 3, H, W), without.
        photo_landmarks: (B, 68, >=2) crop NDC, found in the photo.
        metric: `l2` is the mean square over faces and features, `cosine` the mean over faces of 1 - cosine.
    """
    with torch.no_grad():
        truth = features(photo, photo_landmarks)
    return feature_loss(features(render, render_landmarks), truth, metric)


def load_lip_features(device: torch.device | str = "cpu") -> LipFeatures:
    """The lip reader that the user brought.

    Raises:
        MienError: MISSING_FILE where none was added; BAD_HEAD for a part that is damaged.
    """
    part = required("lip_reading")
    network = build(part, "", partial(LipReading, part.settings["activation"]))
    return LipFeatures(network).to(device)
