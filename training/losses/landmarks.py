# SPDX-License-Identifier: GPL-3.0-or-later
"""Landmark losses on the iBUG-68 markup (DECA, Feng et al. 2021, section 4.1; EMOCA, Danecek et al. 2022, section 3.2).

Points are crop NDC (x right, y down, [-1, 1] over the crop).
"""

from __future__ import annotations

import torch
from torch import Tensor

from training.losses.distances import pair_distance_error

EYES = torch.tensor([(37, 41), (38, 40), (43, 47), (44, 46)])
LIPS = torch.tensor([(61, 67), (62, 66), (63, 65)])
MOUTH_CORNERS = torch.tensor([(48, 54), (60, 64)])
"""Pairs whose distances say how far lids, lips and mouth corners are apart."""


def _weights() -> Tensor:
    weights = torch.ones(68)
    weights[[5, 6, 10, 11]] = 2.0
    weights[27:36] = 1.5
    weights[[30, 31, 35]] = 3.0
    weights[48:68] = 1.5
    weights[[48, 54]] = 3.0
    return weights


WEIGHTS = _weights()
"""(68,) DECA's: nose and mouth count more than the outline, nose tip, nostrils and mouth corners most."""


def landmark_loss(predicted: Tensor, truth: Tensor, weights: Tensor | None = None) -> Tensor:
    """Weighted absolute error: sum of w v |difference| over faces, points and axes / (2 sum of w v).

    The truth stays as it is; the published code multiplies the weights into its visibility.

    Args:
        predicted: (B, N, >=2).
        truth: (B, N, 2), or (B, N, 3) with visibility v (0 to 1) in the third column.
        weights: (N,) of the points, `WEIGHTS` for DECA's; 1 by default.

    Returns:
        A scalar; 0 where nothing is visible.
    """
    visible = truth[..., 2] if truth.shape[-1] > 2 else torch.ones_like(truth[..., 0])
    if weights is not None:
        visible = visible * weights.to(visible)
    error = (predicted[..., :2] - truth[..., :2]).abs().sum(-1)
    return (visible * error).sum() / (2 * visible.sum()).clamp(min=torch.finfo(error.dtype).tiny)


def eye_closure_loss(predicted: Tensor, truth: Tensor) -> Tensor:
    """Wrong distances between upper and lower lids, see `pair_distance_error`; (B, 68, >=2)."""
    return pair_distance_error(predicted, truth, EYES)


def lip_closure_loss(predicted: Tensor, truth: Tensor) -> Tensor:
    """Wrong distances between the inner edges of the lips, see `pair_distance_error`; (B, 68, >=2)."""
    return pair_distance_error(predicted, truth, LIPS)


def mouth_corner_loss(predicted: Tensor, truth: Tensor) -> Tensor:
    """Wrong widths of the mouth, outer and inner, see `pair_distance_error`; (B, 68, >=2)."""
    return pair_distance_error(predicted, truth, MOUTH_CORNERS)
