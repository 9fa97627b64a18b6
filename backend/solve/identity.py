# SPDX-License-Identifier: GPL-3.0-or-later
"""One identity from what networks say of it frame by frame."""

from __future__ import annotations

import numpy as np

TOLERATED = 1.5
"""Median distances beyond which a frame counts the less the farther off it is (Huber's weights)."""
ROUNDS = 20
_ALIKE = 1e-9


def robust_mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The mean of frames, those that are unlike the others counting less (iteratively reweighted least squares).

    Args:
        values: (N,S) coefficients, N from 1.
        weights: (N,) from 0; where all are 0 frames count alike.

    Returns:
        (S,) float64.
    """
    values = np.asarray(values, np.float64)
    weights = np.asarray(weights, np.float64)
    weights = weights / weights.sum() if weights.sum() > 0 else np.full(len(values), 1 / len(values))
    mean = weights @ values
    for _ in range(ROUNDS):
        distance = np.linalg.norm(values - mean, axis=1)
        limit = max(TOLERATED * _weighted_median(distance, weights), _ALIKE)
        share = weights * np.minimum(1.0, limit / np.maximum(distance, _ALIKE))
        mean = share @ values / share.sum()
    return mean


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    order = np.argsort(values, kind="stable")
    return float(values[order][np.searchsorted(np.cumsum(weights[order]), 0.5 * weights.sum())])
