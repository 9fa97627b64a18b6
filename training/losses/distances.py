# SPDX-License-Identifier: GPL-3.0-or-later
"""Distances whose gradients are finite where points meet."""

from __future__ import annotations

import torch
from torch import Tensor

_TINY = 1e-20
"""Squared length under which a vector has no direction."""


def length(vectors: Tensor) -> Tensor:
    """Euclidean lengths (...,) of vectors (..., C); where a vector is zero, so is its gradient."""
    squared = vectors.square().sum(-1)
    apart = squared > _TINY
    return torch.where(apart, torch.where(apart, squared, 1.0).sqrt(), 0.0)


def pair_distance_error(predicted: Tensor, truth: Tensor, pairs: Tensor) -> Tensor:
    """How wrong the distances between pairs of landmarks are: mean |d - d'| over faces and pairs.

    Relative terms like this one do not mind where the face is, so that a wrong pose does not move the expression
    (Danecek et al. 2022, section 3.2).

    Args:
        predicted: (B, N, >=2); columns past the second are not looked at.
        truth: (B, N, >=2) in the same unit.
        pairs: (P, 2) landmarks.

    Returns:
        A scalar.
    """
    lengths = [length(points[:, pairs[:, 0], :2] - points[:, pairs[:, 1], :2]) for points in (predicted, truth)]
    return (lengths[0] - lengths[1]).abs().mean()
