# SPDX-License-Identifier: GPL-3.0-or-later
"""Correlation (PCC) and concordance (CCC, Lin 1989) of predictions with the truth, differentiable.

Deviations are the sample's (n - 1), as the published code takes them in training. Where nothing varies, or there is but
one sample, both are 0 and so are the gradients of the PCC.
"""

from __future__ import annotations

import torch
from torch import Tensor

_EPSILON = 1e-12


def pcc(predicted: Tensor, truth: Tensor) -> Tensor:
    """Pearson's correlation of (N,) or (N, 1), a scalar in [-1, 1]."""
    covariance, ours, theirs, _ = _moments(predicted, truth)
    return covariance / (ours * theirs + _EPSILON).sqrt()


def ccc(predicted: Tensor, truth: Tensor) -> Tensor:
    """Concordance of (N,) or (N, 1): 2 cov / (var + var' + (mean - mean')^2), a scalar in [-1, 1]."""
    covariance, ours, theirs, apart = _moments(predicted, truth)
    return 2 * covariance / (ours + theirs + apart.square() + _EPSILON)


def _moments(predicted: Tensor, truth: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Covariance, both variances and the difference of the means."""
    predicted, truth = predicted.flatten(), truth.flatten()
    means = predicted.mean(), truth.mean()
    a, b = predicted - means[0], truth - means[1]
    divisor = max(len(predicted) - 1, 1)
    covariance, ours, theirs = (torch.dot(x, y) / divisor for x, y in ((a, b), (a, a), (b, b)))
    return covariance, ours, theirs, means[0] - means[1]
