# SPDX-License-Identifier: GPL-3.0-or-later
"""Means and shares with 95 % intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Z = 1.959963984540054
"""Of the normal distribution, 2.5 % beyond it on either side."""
_DRAWS = 2000
_AT_ONCE = 100


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval.

    Attributes:
        value: The number; NaN where there is nothing to say.
        low: Lower end.
        high: Upper end.
        count: How many answers it is of.
    """

    value: float
    low: float
    high: float
    count: int


NOTHING = Estimate(math.nan, math.nan, math.nan, 0)


def share(hits: int, count: int) -> Estimate:
    """A share with Wilson's score interval (1927), which takes the answers for independent."""
    if not count:
        return NOTHING
    part, square = hits / count, Z**2 / count
    middle = (part + square / 2) / (1 + square)
    half = Z / (1 + square) * math.sqrt(part * (1 - part) / count + square / (4 * count))
    return Estimate(part, max(0.0, middle - half), min(1.0, middle + half), count)


def mean(values: Sequence[float], people: Sequence[str], faces: Sequence[str], seed: int = 0) -> Estimate:
    """A mean whose interval knows that answers by one person, and to one face, are alike.

    Percentiles of 2000 bootstrap samples in which both people and faces are drawn anew, each answer weighted by how
    often both were drawn (the pigeonhole bootstrap, Owen 2007); rather too wide than too narrow.

    Args:
        values: (N,) answers.
        people: (N,) who gave each.
        faces: (N,) of which face.
        seed: Of the draws, from 0.
    """
    if not values:
        return NOTHING
    numbers = np.asarray(values, float)
    random = np.random.default_rng(seed)
    (who, persons), (which, pictures) = _indexed(people), _indexed(faces)
    means = []
    for _ in range(_DRAWS // _AT_ONCE):
        weights = _drawn(random, persons)[:, who] * _drawn(random, pictures)[:, which]
        totals = weights.sum(1)
        means.append((weights @ numbers)[totals > 0] / totals[totals > 0])
    low, high = np.percentile(np.concatenate(means), (2.5, 97.5))
    return Estimate(float(numbers.mean()), float(low), float(high), len(numbers))


def _indexed(names: Sequence[str]) -> tuple[np.ndarray, int]:
    unique, index = np.unique(np.asarray(names, object).astype(str), return_inverse=True)
    return index, len(unique)


def _drawn(random: np.random.Generator, count: int) -> np.ndarray:
    """How often each of `count` is among as many drawn with replacement; (_AT_ONCE, count)."""
    return random.multinomial(count, np.full(count, 1 / count), size=_AT_ONCE)
