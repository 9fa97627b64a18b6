# SPDX-License-Identifier: GPL-3.0-or-later
"""Landmark losses of EMOCA v2: 105 of MediaPipe's 478 points in the order of FLAME's embedding of them.

Predictions are (B, 105, >=2) in that order, truths (B, 478, >=2) in MediaPipe's, both crop NDC.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor

from training.losses.distances import pair_distance_error

EMBEDDED = (
    276, 282, 283, 285, 293, 295, 296, 300, 334, 336, 46, 52, 53, 55, 63, 65, 66, 70, 105, 107, 249, 263, 362, 373, 374,
    380, 381, 382, 384, 385, 386, 387, 388, 390, 398, 466, 7, 33, 133, 144, 145, 153, 154, 155, 157, 158, 159, 160, 161,
    163, 173, 246, 168, 6, 197, 195, 5, 4, 129, 98, 97, 2, 326, 327, 358, 0, 13, 14, 17, 37, 39, 40, 61, 78, 80, 81, 82,
    84, 87, 88, 91, 95, 146, 178, 181, 185, 191, 267, 269, 270, 291, 308, 310, 311, 312, 314, 317, 318, 321, 324, 375,
    402, 405, 409, 415,
)  # fmt: skip
"""Which of the 478 points each of the 105 is: brows, lids, nose, lips."""

LidPairs = Literal["published", "anatomical"]
"""`published` pairs the lids as EMOCA v2 was trained: it sorts the points of the upper and of the lower lid by their
numbers first, so that most pairs lie askew. `anatomical` pairs what meets when the eye closes."""

_LID_PAIRS: dict[LidPairs, tuple[tuple[int, int], ...]] = {
    "published": (
        (157, 7), (158, 144), (159, 145), (160, 153), (161, 154), (173, 155), (246, 163),
        (384, 249), (385, 373), (386, 374), (387, 380), (388, 381), (398, 382), (466, 390),
    ),
    "anatomical": (
        (246, 7), (161, 163), (160, 144), (159, 145), (158, 153), (157, 154), (173, 155),
        (398, 382), (384, 381), (385, 380), (386, 374), (387, 373), (388, 390), (466, 249),
    ),
}  # fmt: skip
_UPPER_LIP = (185, 40, 39, 37, 0, 267, 269, 270, 409, 191, 80, 81, 82, 13, 312, 311, 310, 415)
_LOWER_LIP = (146, 91, 181, 84, 17, 314, 405, 321, 375, 95, 88, 178, 87, 14, 317, 402, 318, 324)


def _rows(pairs: Iterable[tuple[int, int]]) -> Tensor:
    """Pairs of MediaPipe's points as rows of the 105."""
    return torch.tensor([[EMBEDDED.index(point) for point in pair] for pair in pairs])


LIDS = {name: _rows(pairs) for name, pairs in _LID_PAIRS.items()}
LIPS = _rows(zip(_UPPER_LIP, _LOWER_LIP, strict=True))
MOUTH_CORNERS = _rows(((78, 308), (61, 291)))


def embedded(landmarks: Tensor) -> Tensor:
    """The 105 of all 478 points: (..., 478, C) to (..., 105, C)."""
    return landmarks[..., torch.tensor(EMBEDDED, device=landmarks.device), :]


def landmark_loss(predicted: Tensor, truth: Tensor) -> Tensor:
    """Mean |difference| over faces, the 105 points and x, y."""
    return (predicted[..., :2] - embedded(truth)[..., :2]).abs().mean()


def eye_closure_loss(predicted: Tensor, truth: Tensor, pairs: LidPairs = "published") -> Tensor:
    """Wrong distances between upper and lower lids, see `pair_distance_error`."""
    return pair_distance_error(predicted, embedded(truth), LIDS[pairs])


def lip_closure_loss(predicted: Tensor, truth: Tensor) -> Tensor:
    """Wrong distances between upper and lower lip, outer and inner edges, see `pair_distance_error`."""
    return pair_distance_error(predicted, embedded(truth), LIPS)


def mouth_corner_loss(predicted: Tensor, truth: Tensor) -> Tensor:
    """Wrong widths of the mouth, inner and outer, see `pair_distance_error`."""
    return pair_distance_error(predicted, embedded(truth), MOUTH_CORNERS)
