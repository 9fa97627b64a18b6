# SPDX-License-Identifier: GPL-3.0-or-later
"""VRM's expressions from ARKit's channels."""

from __future__ import annotations

import numpy as np
import pytest

from blender_addon.contract.arkit import CHANNELS, ArkitCurves, arkit_curves
from blender_addon.contract.vrm import RULES, VOWELS, vrm_weights
from tests.arkit_takes import arkit_take


def face(**weights: float) -> ArkitCurves:
    values = np.array([[weights.get(name, 0.0) for name in CHANNELS]])
    return ArkitCurves(np.zeros(1), values, np.zeros((1, 9)), np.ones(1, bool))


def test_all_presets_are_weights_and_vowels_share_one_mouth():
    values = vrm_weights(arkit_curves(arkit_take(frames=200)))
    assert list(values) == list(RULES)
    table = np.stack(list(values.values()))
    assert table.shape == (12, 200) and (table >= 0).all() and (table <= 1).all()
    assert sum(values[name] for name in VOWELS).max() <= 1 + 1e-12


@pytest.mark.parametrize(
    ("weights", "expression"),
    [
        ({"jawOpen": 1}, "aa"),
        ({"mouthPucker": 1}, "ou"),
        ({"mouthFunnel": 1}, "oh"),
        ({"mouthStretchLeft": 1, "mouthStretchRight": 1}, "ee"),
        ({"eyeBlinkLeft": 1, "eyeBlinkRight": 1}, "blink"),
        ({"eyeBlinkRight": 1}, "blinkRight"),
        ({"eyeLookOutLeft": 1, "eyeLookInRight": 1}, "lookLeft"),
        ({"eyeLookInLeft": 1, "eyeLookOutRight": 1}, "lookRight"),
        ({"eyeLookUpLeft": 1, "eyeLookUpRight": 1}, "lookUp"),
    ],
)
def test_a_plain_face_is_its_expression(weights, expression):
    values = {name: value[0] for name, value in vrm_weights(face(**weights)).items()}
    assert values[expression] == 1.0
    others = {name for name, value in values.items() if value and name != expression}
    assert others <= {"blink", "blinkLeft", "blinkRight"}


def test_rules_name_channels_and_say_which_are_approximations():
    assert all(part in CHANNELS for rule in RULES.values() for part in rule.weights)
    assert {name for name, rule in RULES.items() if rule.approximate} == set(VOWELS)
