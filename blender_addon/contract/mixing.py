# SPDX-License-Identifier: GPL-3.0-or-later
"""Channels of other programs as sums of ARKit's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from .arkit import CHANNELS, ArkitCurves


@dataclass(frozen=True)
class Mix:
    """A channel of another program as a sum of ARKit's, cut to 0 to 1.

    Attributes:
        weights: What each of ARKit's channels gives to it.
        approximate: Whether ARKit has no such channel, so that others stand for it.
    """

    weights: Mapping[str, float]
    approximate: bool = False


def mix(weights: Mapping[str, float], approximate: bool = False) -> Mix:
    """A `Mix` that cannot be altered."""
    return Mix(MappingProxyType(dict(weights)), approximate)


def sides(name: str, weight: float = 0.5) -> dict[str, float]:
    """Both sides of a channel of ARKit's with the same weight; by default their mean."""
    return {f"{name}Left": weight, f"{name}Right": weight}


def mixed(curves: ArkitCurves, mixes: Sequence[Mix]) -> np.ndarray:
    """(T, M) values of channels of another program, 0 to 1."""
    matrix = np.array([[one.weights.get(name, 0.0) for name in CHANNELS] for one in mixes])
    return np.clip(curves.weights @ matrix.T, 0.0, 1.0)
