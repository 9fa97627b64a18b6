# SPDX-License-Identifier: GPL-3.0-or-later
"""VRM 1.0's preset expressions from ARKit's channels. The table says which of them are approximations.

ARKit has no vowels, so the mouth's presets are read from the shape of the lips. The feelings (happy, angry, ...) are
not among them: nothing in a face says that a smile is meant.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from .arkit import ArkitCurves
from .mixing import Mix, mix, mixed, sides

VOWELS: Mapping[str, Mix] = MappingProxyType(
    {
        "aa": mix({"jawOpen": 1.0, "mouthFunnel": -0.5, "mouthPucker": -0.5}, approximate=True),
        "ih": mix(sides("mouthLowerDown", 0.25) | sides("mouthUpperUp", 0.25), approximate=True),
        "ou": mix({"mouthPucker": 1.0}, approximate=True),
        "ee": mix(sides("mouthStretch"), approximate=True),
        "oh": mix({"mouthFunnel": 1.0}, approximate=True),
    }
)
LOOKS: Mapping[str, Mix] = MappingProxyType(
    {
        "lookUp": mix(sides("eyeLookUp")),
        "lookDown": mix(sides("eyeLookDown")),
        "lookLeft": mix({"eyeLookOutLeft": 0.5, "eyeLookInRight": 0.5}),
        "lookRight": mix({"eyeLookInLeft": 0.5, "eyeLookOutRight": 0.5}),
    }
)
"""Looks to the person's own left and right; the mean of both eyes."""
BLINKS: Mapping[str, Mix] = MappingProxyType(
    {
        "blink": mix(sides("eyeBlink")),
        "blinkLeft": mix({"eyeBlinkLeft": 1.0}),
        "blinkRight": mix({"eyeBlinkRight": 1.0}),
    }
)
"""`blink` is both sides at once: a model is given that or the two sides, not all three."""
RULES: Mapping[str, Mix] = MappingProxyType({**VOWELS, **BLINKS, **LOOKS})
"""By preset, in the order of VRM 1.0. Left is the person's left, as in VRM."""


def vrm_weights(curves: ArkitCurves) -> dict[str, np.ndarray]:
    """The presets (T,) float64 by name, 0 to 1, in the order of `RULES`.

    Vowels add up on a model, so that they are scaled down together where their sum would be more than 1.
    """
    values = dict(zip(RULES, mixed(curves, tuple(RULES.values())).T, strict=True))
    total = np.maximum(sum(values[name] for name in VOWELS), 1.0)
    return values | {name: values[name] / total for name in VOWELS}
