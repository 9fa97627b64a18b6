# SPDX-License-Identifier: GPL-3.0-or-later
"""VRM 1.0's preset expressions from ARKit's channels. The table says which of them are approximations.

ARKit has no vowels, so the mouth's presets are read from the shape of the lips. The feelings (happy, angry, ...) are
not among them: nothing in a face says that a smile is meant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from .arkit import CHANNELS, ArkitCurves


@dataclass(frozen=True)
class VrmRule:
    """How one expression is made.

    Attributes:
        parts: Factors by ARKit channel; their sum is held within 0 and 1.
        exact: Whether the expression means just that; otherwise the rule is an approximation.
    """

    parts: Mapping[str, float]
    exact: bool = False


def _rule(exact: bool = False, **parts: float) -> VrmRule:
    return VrmRule(MappingProxyType(parts), exact)


RULES: Mapping[str, VrmRule] = MappingProxyType(
    {
        "aa": _rule(jawOpen=1.0, mouthFunnel=-0.5, mouthPucker=-0.5),
        "ih": _rule(mouthStretchLeft=0.5, mouthStretchRight=0.5, mouthFunnel=-0.5, mouthPucker=-0.5),
        "ou": _rule(mouthPucker=1.0),
        "ee": _rule(mouthLowerDownLeft=0.35, mouthLowerDownRight=0.35, mouthDimpleLeft=0.15, mouthDimpleRight=0.15),
        "oh": _rule(mouthFunnel=1.0),
        "blink": _rule(eyeBlinkLeft=0.5, eyeBlinkRight=0.5),
        "blinkLeft": _rule(exact=True, eyeBlinkLeft=1.0),
        "blinkRight": _rule(exact=True, eyeBlinkRight=1.0),
        "lookUp": _rule(eyeLookUpLeft=0.5, eyeLookUpRight=0.5),
        "lookDown": _rule(eyeLookDownLeft=0.5, eyeLookDownRight=0.5),
        "lookLeft": _rule(eyeLookOutLeft=0.5, eyeLookInRight=0.5),
        "lookRight": _rule(eyeLookInLeft=0.5, eyeLookOutRight=0.5),
    }
)
"""By preset, in the order of VRM 1.0. Left is the person's left, as in VRM. `blink` is both sides at once: a model is
given that or the two sides, not all three. The looks are the mean of both eyes."""
VOWELS = ("aa", "ih", "ou", "ee", "oh")


def vrm_weights(curves: ArkitCurves) -> dict[str, np.ndarray]:
    """The presets (T,) float64 by name, 0 to 1, in the order of `RULES`.

    Vowels add up on a model, so that they are scaled down together where their sum would be more than 1.
    """
    values = {name: np.clip(_sum(curves.weights, rule.parts), 0.0, 1.0) for name, rule in RULES.items()}
    total = np.maximum(sum(values[name] for name in VOWELS), 1.0)
    return values | {name: values[name] / total for name in VOWELS}


def perfect_sync(curves: ArkitCurves) -> dict[str, np.ndarray]:
    """The custom expressions (T,) of models made for "perfect sync": ARKit's channels under their own names."""
    return dict(zip(CHANNELS, curves.weights.T, strict=True))


def _sum(weights: np.ndarray, parts: Mapping[str, float]) -> np.ndarray:
    columns = [CHANNELS.index(name) for name in parts]
    return weights[:, columns] @ np.array(list(parts.values()))
