# SPDX-License-Identifier: GPL-3.0-or-later
"""Folds of cross-validation: whole persons or clips, about as many pictures in each fold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

FOLDS = 5
"""As many as the papers make of AFEW-VA."""


def dealt_folds(group: np.ndarray | Sequence[int | str], seed: int) -> np.ndarray:
    """Deal groups out: the largest first, each to the fold that is the smallest so far.

    Args:
        group: (N,) names or numbers; rows with the same one stay together.
        seed: of the order among groups of one size.

    Returns:
        (N,) int64 the fold of each row, 0 to 4; some stay empty where there are fewer groups.
    """
    groups, place, sizes = np.unique(np.asarray(group), return_inverse=True, return_counts=True)
    shuffled = np.random.default_rng(seed).permutation(len(groups))
    order = shuffled[np.argsort(-sizes[shuffled], kind="stable")]
    fold, filled = np.zeros(len(groups), np.int64), np.zeros(FOLDS, np.int64)
    for number in order:
        fold[number] = filled.argmin()
        filled[fold[number]] += sizes[number]
    return fold[place]
