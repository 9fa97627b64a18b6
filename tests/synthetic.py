# SPDX-License-Identifier: GPL-3.0-or-later
"""Geometry that tests and benchmarks share when they compare with synthetic truth."""

from __future__ import annotations

import numpy as np


def similarity_aligned(points: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(N,3) points moved, turned and scaled onto (N,3) target points (Umeyama 1991)."""
    centred, goal = points - points.mean(axis=0), target - target.mean(axis=0)
    u, singular, vt = np.linalg.svd(goal.T @ centred)
    sign = np.diag([1, 1, np.linalg.det(u @ vt)])
    scale = (singular * np.diag(sign)).sum() / (centred**2).sum()
    return scale * centred @ (u @ sign @ vt).T + target.mean(axis=0)
