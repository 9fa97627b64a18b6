# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes in ARKit's terms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backend.heads import load_head
from blender_addon.contract.arkit import ANGLES, CHANNELS, JAW_OPEN, arkit_curves, has_arkit, take_arrays
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.rotations import multiply, to_axis_angles, to_quaternions
from tests.arkit_takes import arkit_take
from tests.fake_takes import small_take


def test_the_52_channels_are_distinct_and_those_of_the_open_head():
    assert len(CHANNELS) == len(set(CHANNELS)) == 52
    assert len(ANGLES) == 9
    assert has_arkit(load_head("open").expression_names)
    assert not has_arkit(CHANNELS)


def test_there_and_back_is_the_same_take():
    take = arkit_take(frames=40)
    arrays = take_arrays(arkit_curves(take), take.meta.channels)
    for name in ("expression", "eyelids", "jaw", "eyes"):
        np.testing.assert_allclose(arrays[name], getattr(take, name), atol=2e-6, err_msg=name)
    whole = multiply(to_quaternions(take.head_rotation), to_quaternions(take.neck))
    np.testing.assert_allclose(arrays["head_rotation"], to_axis_angles(whole), atol=2e-6)
    assert not arrays["neck"].any()


def test_values_keep_their_names():
    take = arkit_take(frames=3)
    curves = arkit_curves(take)
    for name in ("mouthSmileLeft", "browInnerUp", "tongueOut"):
        np.testing.assert_allclose(curves.weight(name), take.expression[:, take.meta.channels.index(name)], atol=1e-7)
    np.testing.assert_allclose(curves.weight("eyeBlinkRight"), take.eyelids[:, 1])
    np.testing.assert_allclose(curves.weight("jawOpen"), take.jaw[:, 0] / JAW_OPEN)


@pytest.mark.parametrize(
    ("axis_angle", "name", "sign"),
    [((0.3, 0, 0), "headPitch", 1), ((0, 0.3, 0), "headYaw", -1), ((0, 0, 0.3), "headRoll", -1)],
)
def test_signs_of_the_angles(axis_angle, name, sign):
    """Nodding down is positive pitch, turning to the person's left negative yaw."""
    take = arkit_take(frames=2)
    still = np.zeros((2, 3), np.float32)
    turned = replace(take, head_rotation=np.tile(np.float32(axis_angle), (2, 1)), neck=still)
    angles = dict(zip(ANGLES, arkit_curves(turned).angles[0], strict=True))
    assert angles[name] == pytest.approx(sign * 0.3, abs=1e-6)
    assert all(abs(angles[other]) < 1e-6 for other in ("headYaw", "headPitch", "headRoll") if other != name)


def test_roll_turns_first_then_pitch_then_yaw():
    yaw, pitch, roll = (to_quaternions(np.array(axis)) for axis in ((0, -0.5, 0), (0.4, 0, 0), (0, 0, -0.3)))
    turn = to_axis_angles(multiply(multiply(yaw, pitch), roll))
    take = replace(arkit_take(frames=1), head_rotation=np.float32(turn)[None], neck=np.zeros((1, 3), np.float32))
    np.testing.assert_allclose(arkit_curves(take).angles[0, :3], (0.5, 0.4, 0.3), atol=1e-6)


def test_other_heads_are_refused_with_the_reason():
    with pytest.raises(MienError) as caught:
        arkit_curves(small_take())
    assert caught.value.code is ErrorCode.CANNOT_EXPORT
    assert "photo.jpg" in caught.value.message and "'open'" in caught.value.message
