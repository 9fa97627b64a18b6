# SPDX-License-Identifier: GPL-3.0-or-later
"""Folds of cross-validation."""

from __future__ import annotations

import numpy as np
import pytest

from training.folds import FOLDS, dealt_folds


@pytest.mark.parametrize("named", [False, True])
def test_everybody_is_in_one_fold_and_folds_are_even(named: bool) -> None:
    random = np.random.default_rng(0)
    person = random.permutation(np.repeat(np.arange(240), random.integers(20, 150, 240)))
    fold = dealt_folds([f"clip {who}" for who in person] if named else person, seed=1)
    assert len(np.unique(np.stack((person, fold)), axis=1).T) == 240
    sizes = np.bincount(fold, minlength=FOLDS)
    assert len(sizes) == FOLDS and sizes.max() - sizes.min() < 150
    np.testing.assert_array_equal(dealt_folds(person, seed=1), dealt_folds(person.tolist(), seed=1))
    assert not np.array_equal(dealt_folds(person, seed=2), dealt_folds(person, seed=1))


def test_fewer_people_than_folds_and_nobody() -> None:
    assert sorted(dealt_folds([7, 7, 3], seed=0)) == [0, 0, 1]
    assert len(dealt_folds([], seed=0)) == 0
