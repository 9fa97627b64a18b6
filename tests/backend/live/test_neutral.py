# SPDX-License-Identifier: GPL-3.0-or-later
"""Calibration by a resting face."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from backend.live.frames import LiveFrame
from backend.live.neutral import MOST_OFFSET, NeutralPose
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.projection import HEAD_TO_CAMERA


def resting(**changes: object) -> LiveFrame:
    values = {
        "expression": np.array([0.2, 0.0, 0.9]),
        "eyelids": np.array([0.3, 0.25]),
        "head_rotation": np.array([0.1, 0.5, 0.05]),
        "neck": np.zeros(3),
        "jaw": np.array([0.04, 0, 0]),
        "eyes": np.array([0.05, -0.1, 0, 0.05, -0.12, 0]),
        "translation": np.array([0.1, -0.05, 0.7]),
    }
    return LiveFrame(**(values | changes))


def test_the_resting_face_becomes_neutral() -> None:
    rest = resting()
    neutral = NeutralPose.from_frames([rest] * 5)
    shown = neutral.apply(rest)
    assert np.allclose(shown.expression[:2], 0) and shown.expression[2] < 0.9
    for name in ("eyelids", "jaw", "eyes"):
        assert np.allclose(getattr(shown, name), 0, atol=1e-12), name
    assert np.array_equal(shown.head_rotation, rest.head_rotation)
    assert np.array_equal(shown.translation, rest.translation)


def test_a_blink_while_calibrating_does_not_count() -> None:
    frames = [resting()] * 8 + [resting(eyelids=np.ones(2), expression=np.ones(3))] * 3
    assert np.allclose(NeutralPose.from_frames(frames).eyelids, resting().eyelids)
    assert np.allclose(NeutralPose.from_frames(frames).expression, resting().expression)


def test_1_stays_within_reach_and_nothing_leaves_0_to_1() -> None:
    neutral = NeutralPose.from_frames([resting()])
    full = neutral.apply(resting(expression=np.ones(3), eyelids=np.ones(2)))
    assert np.allclose(full.expression, 1) and np.allclose(full.eyelids, 1)
    none = neutral.apply(resting(expression=np.zeros(3), eyelids=np.zeros(2)))
    assert np.array_equal(none.expression, np.zeros(3)) and np.array_equal(none.eyelids, np.zeros(2))
    half = neutral.apply(resting(expression=np.array([0.6, 0.5, 0.95])))
    assert np.allclose(half.expression, [0.5, 0.5, (0.95 - MOST_OFFSET) / (1 - MOST_OFFSET)])


def test_channels_without_limits_are_only_moved() -> None:
    rest = resting(expression=np.array([0.5, -1.5, 2.0]))
    neutral = NeutralPose.from_frames([rest])
    shown = neutral.apply(resting(expression=np.array([1.0, 1.0, -1.0])))
    assert np.allclose(shown.expression, [1.0, 2.5, -3.0])


def test_the_gaze_turns_from_where_it_rests() -> None:
    neutral = NeutralPose.from_frames([resting()])
    aside = Rotation.from_rotvec([0, 0.3, 0])
    eye = (aside * Rotation.from_rotvec(resting().eyes[:3])).as_rotvec()
    shown = neutral.apply(resting(eyes=np.concatenate((eye, resting().eyes[3:]))))
    assert np.allclose(shown.eyes, [0, 0.3, 0, 0, 0, 0])


def test_the_head_can_become_the_origin() -> None:
    """With a camera 30 degrees aside, a nod is a nod and a step towards where the face looks comes nearer."""
    rest = resting(head_rotation=np.array([0, np.deg2rad(30), 0]))
    neutral = NeutralPose.from_frames([rest] * 3, with_head=True)
    shown = neutral.apply(rest)
    assert np.allclose(shown.head_rotation, 0, atol=1e-12)
    assert np.allclose(shown.translation, [0, 0, 0.7])
    aside = Rotation.from_rotvec(rest.head_rotation)
    nod = (aside * Rotation.from_rotvec([0.2, 0, 0])).as_rotvec()
    step = HEAD_TO_CAMERA @ aside.apply([0, 0, 0.1])
    shown = neutral.apply(replace(rest, head_rotation=nod, translation=rest.translation + step))
    assert np.allclose(shown.head_rotation, [0.2, 0, 0])
    assert np.allclose(shown.translation, [0, 0, 0.6])


@pytest.mark.parametrize("with_head", [False, True])
def test_saved_and_restored(with_head: bool) -> None:
    neutral = NeutralPose.from_frames([resting(), resting(jaw=np.array([0.06, 0, 0]))], with_head)
    again = NeutralPose.from_arrays({name: np.array(value) for name, value in neutral.to_arrays().items()})
    other = resting(expression=np.array([0.4, 0.7, 0.8]), head_rotation=np.array([0.3, 0, 0]))
    for name in ("expression", "eyelids", "jaw", "eyes", "head_rotation", "translation"):
        assert np.array_equal(getattr(neutral.apply(other), name), getattr(again.apply(other), name)), name


@pytest.mark.parametrize(
    "damage",
    [
        lambda arrays: arrays.pop("eyes"),
        lambda arrays: arrays.update(nose=np.zeros(1)),
        lambda arrays: arrays.update(eyes=np.zeros(5)),
        lambda arrays: arrays.update(translation=np.zeros(3)),
        lambda arrays: arrays.update(unit=np.zeros(2, bool)),
        lambda arrays: arrays.update(expression=np.full(3, np.nan)),
    ],
)
def test_damaged_calibrations_are_refused(damage: object) -> None:
    arrays = NeutralPose.from_frames([resting()]).to_arrays()
    damage(arrays)
    with pytest.raises(MienError) as refused:
        NeutralPose.from_arrays(arrays)
    assert refused.value.code is ErrorCode.BAD_MESSAGE


def test_without_a_frame_it_says_what_to_do() -> None:
    with pytest.raises(MienError) as refused:
        NeutralPose.from_frames([])
    assert refused.value.code is ErrorCode.NO_FACE
