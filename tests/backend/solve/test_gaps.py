# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaps: the pose goes on its way, the expression relaxes, cuts hold."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from backend.engines.params import FaceParams
from backend.solve.gaps import LOW_CONFIDENCE, RECOVERED, RELAX_SECONDS, Filled, Gap, fill_gaps, reliable
from blender_addon.contract.errors import ErrorCode, MienError

RATE = 25.0
RELAXING = ("expression", "eyelids", "jaw", "eyes")


class Shot:
    """Moving frames of which some can be taken away."""

    def __init__(self, count: int = 80, seed: int = 0):
        rng = np.random.default_rng(seed)
        self.time = np.arange(count) / RATE
        self.valid = np.ones(count, bool)
        self.confidence = np.full(count, 0.9)
        self.segment = np.zeros(count, np.int32)
        sway = np.sin(self.time[:, None] + rng.uniform(0, 6, 3))
        self.params = FaceParams(
            identity=np.ones((count, 2)),
            expression=0.3 + 0.5 * rng.random((count, 4)),
            eyelids=0.2 + 0.5 * rng.random((count, 2)),
            head_rotation=0.4 * sway,
            neck=0.05 * sway,
            jaw=0.2 + np.zeros((count, 3)) * sway,
            eyes=0.1 * np.concatenate((sway, sway), axis=1) + 0.2,
            crop_camera=1 + 0.1 * sway,
            crop_transform=np.eye(3) * (1 + self.time[:, None, None]),
        )
        self.translation = 0.1 * sway + [0, 0, 0.7]

    def lose(self, *frames: int) -> Shot:
        """No face in some frames; their values are rubbish."""
        self.valid[list(frames)] = False
        for field in fields(FaceParams):
            getattr(self.params, field.name)[list(frames)] = np.nan
        self.translation[list(frames)] = np.nan
        return self

    def fill(self) -> Filled:
        return fill_gaps(self.time, self.valid, self.confidence, self.segment, self.params, self.translation)


def values(filled: Filled) -> dict[str, np.ndarray]:
    return {field.name: getattr(filled.params, field.name) for field in fields(FaceParams)} | {
        "translation": filled.translation
    }


def test_good_frames_are_left_as_they_are() -> None:
    whole, shot = Shot(), Shot().lose(*range(20, 35))
    filled = shot.fill()
    assert filled.gaps == (Gap(20, 34, "no face"),)
    assert np.array_equal(filled.valid, shot.valid)
    good = np.delete(np.arange(80), np.s_[20:35])
    for name, array in values(filled).items():
        wanted = getattr(whole.params, name) if name != "translation" else whole.translation
        assert np.array_equal(array[good], wanted[good]), name
        assert np.isfinite(array).all(), name


def test_nothing_to_fill() -> None:
    filled = Shot().fill()
    assert filled.gaps == () and filled.valid.all()


def test_the_turn_goes_the_shorter_way_round() -> None:
    """From 170 to -170 degrees: through 180, not through 0."""
    shot = Shot()
    shot.params.head_rotation[:] = [0, 0, np.deg2rad(170)]
    shot.params.head_rotation[40:] = [0, 0, -np.deg2rad(170)]
    filled = shot.lose(*range(30, 40)).fill()
    turned = Rotation.from_rotvec(filled.params.head_rotation)
    angles = np.rad2deg((turned * Rotation.from_rotvec([0, 0, np.pi])).magnitude())
    assert angles.max() <= 10.001
    passed = np.rad2deg((turned[1:] * turned[:-1].inv()).magnitude())
    assert passed[29:40].sum() == pytest.approx(20, abs=0.01)
    assert passed[29:40].max() < 4


def test_a_steady_roll_goes_on_past_half_a_turn() -> None:
    shot = Shot()
    roll = np.deg2rad(np.linspace(150, 230, 80))[:, None] * [0.0, 0.0, 1.0]
    shot.params.head_rotation[:] = Rotation.from_rotvec(roll).as_rotvec()
    filled = shot.lose(*range(28, 34)).fill().params.head_rotation
    off = Rotation.from_rotvec(filled) * Rotation.from_rotvec(roll).inv()
    assert np.rad2deg(off.magnitude()).max() < 1e-5
    assert np.linalg.norm(filled, axis=1).max() <= np.pi + 1e-9


def test_a_steady_motion_goes_on_through_the_gap() -> None:
    shot = Shot()
    shot.params.head_rotation[:] = np.linspace(-0.5, 0.5, 80)[:, None] * [0.0, 1.0, 0.0]
    shot.translation[:] = np.linspace(0, 0.2, 80)[:, None] + [0, 0, 0.6]
    wanted = shot.params.head_rotation.copy(), shot.translation.copy()
    filled = shot.lose(*range(30, 50)).fill()
    assert np.allclose(filled.params.head_rotation, wanted[0], atol=1e-9)
    assert np.allclose(filled.translation, wanted[1], atol=1e-9)


def test_the_head_keeps_its_speed_at_both_ends_and_never_overshoots() -> None:
    shot = Shot()
    way = np.where(shot.time < 1, shot.time**2, 1 + 0.0 * shot.time)
    shot.translation[:] = np.stack((way, -way, 0.7 + 0 * way), axis=1)
    shot.params.head_rotation[:] = way[:, None] * [0.5, 0.0, 0.0]
    filled = shot.lose(*range(15, 40)).fill()
    for series in (filled.translation[:, 0], filled.params.head_rotation[:, 0] * 2):
        assert (np.diff(series) >= -1e-12).all() and series.max() <= 1
        speeds = np.diff(series) * RATE
        assert speeds[14] == pytest.approx(speeds[13], rel=0.25), "a kink where the gap begins"
        assert abs(speeds[39]) < 0.12, "a kink where the gap ends"
    assert np.allclose(filled.translation[:, 2], 0.7)


@given(st.integers(0, 10_000), st.integers(1, 30))
@settings(max_examples=25, deadline=None)
def test_translation_stays_between_its_ends(seed: int, length: int) -> None:
    shot = Shot(seed=seed)
    shot.translation += 0.2 * np.random.default_rng(seed).normal(size=(80, 3))
    filled = shot.lose(*range(40, 40 + length)).fill().translation
    low, high = np.minimum(filled[39], filled[40 + length]), np.maximum(filled[39], filled[40 + length])
    inside = filled[40 : 40 + length]
    assert (inside >= low - 1e-12).all() and (inside <= high + 1e-12).all()


def test_a_long_gap_lets_the_expression_rest_and_come_back() -> None:
    filled = Shot(200).lose(*range(50, 150)).fill()
    for name in RELAXING:
        array = getattr(filled.params, name)
        assert np.abs(array[100]).max() < 0.01, name
        assert np.allclose(array[50 + 5], array[49] * np.exp(-6 / RATE / RELAX_SECONDS), atol=1e-4), name
        assert np.allclose(array[149 - 5], array[150] * np.exp(-6 / RATE / RELAX_SECONDS), atol=1e-4), name
        assert (np.diff(np.abs(array[49:96]), axis=0) < 0).all(), name


def test_a_short_gap_is_bridged_by_a_straight_line() -> None:
    shot = Shot()
    first, last = shot.params.expression[29].copy(), shot.params.expression[34].copy()
    filled = shot.lose(30, 31, 32, 33).fill()
    wanted = first + (last - first) * (np.arange(1, 5) / 5)[:, None]
    assert np.allclose(filled.params.expression[30:34], wanted)


def test_relaxing_sets_in_without_a_jump() -> None:
    """A gap a little longer gives nearly the same curve, at whatever length."""
    middles = []
    for stretch in np.linspace(0.15, 0.6, 46):
        shot = Shot(21)
        shot.time = np.arange(21.0)
        shot.time[10:] += stretch / 2 - 1
        shot.time[11:] += stretch / 2 - 1
        shot.params.expression[:] = 1.0
        middles.append(shot.lose(10).fill().params.expression[10, 0])
    assert middles[0] == pytest.approx(1)
    assert middles[-1] < 0.6
    assert np.abs(np.diff(middles)).max() < 0.03


def test_before_the_first_and_after_the_last_face() -> None:
    shot = Shot()
    first, last = shot.params[10:11], shot.params[69:70]
    filled = shot.lose(*range(10), *range(70, 80)).fill()
    assert filled.gaps == (Gap(0, 9, "no face"), Gap(70, 79, "no face"))
    assert np.allclose(filled.params.head_rotation[:10], first.head_rotation)
    assert np.allclose(filled.params.head_rotation[70:], last.head_rotation)
    assert np.allclose(filled.params.crop_transform[70:], last.crop_transform)
    decay = np.exp(-np.arange(1, 11) / RATE / RELAX_SECONDS)[:, None]
    assert np.allclose(filled.params.expression[70:], last.expression * decay)
    assert np.allclose(filled.params.expression[:10], first.expression * decay[::-1])


def test_nothing_crosses_a_cut() -> None:
    shot = Shot()
    shot.segment[40:] = 1
    before, after = shot.params[34:35], shot.params[46:47]
    filled = shot.lose(*range(35, 46)).fill()
    assert filled.gaps == (Gap(35, 39, "no face"), Gap(40, 45, "no face"))
    assert np.allclose(filled.params.head_rotation[35:40], before.head_rotation)
    assert np.allclose(filled.params.head_rotation[40:46], after.head_rotation)


def test_the_speed_beside_a_gap_is_not_that_of_the_shot_before() -> None:
    shot = Shot()
    shot.segment[40:] = 1
    shot.translation[:] = [0, 0, 0.7]
    shot.translation[:40, 0] = -np.linspace(5, 1, 40)
    shot.translation[50:, 0] = 1.0
    speeds = np.diff(shot.lose(*range(42, 50)).fill().translation[41:51, 0])
    assert np.allclose(speeds, speeds[::-1])


def test_a_shot_without_a_face_holds_the_nearest_pose_with_a_neutral_face() -> None:
    shot = Shot(90)
    shot.segment[30:60], shot.segment[60:] = 1, 2
    before, after = shot.params[29:30], shot.params[60:61]
    filled = shot.lose(*range(30, 60)).fill()
    assert filled.gaps == (Gap(30, 59, "no face"),)
    assert np.allclose(filled.params.head_rotation[30:44], before.head_rotation)
    assert np.allclose(filled.params.head_rotation[46:60], after.head_rotation)
    for name in RELAXING:
        assert not getattr(filled.params, name)[30:60].any(), name


def test_low_confidence_has_a_lower_and_an_upper_threshold() -> None:
    between, low, high = (LOW_CONFIDENCE + RECOVERED) / 2, LOW_CONFIDENCE - 0.05, RECOVERED + 0.05
    confidence = np.array([high, between, low, between, high, between, between, high, low, high])
    good = reliable(np.ones(10, bool), confidence, np.zeros(10, int))
    assert good.tolist() == [True, False, False, False, True, True, True, True, False, True]


def test_the_stretch_of_low_confidence_ends_at_a_cut() -> None:
    between, low = (LOW_CONFIDENCE + RECOVERED) / 2, LOW_CONFIDENCE - 0.05
    good = reliable(np.ones(4, bool), np.array([low, between, between, between]), np.array([0, 0, 1, 1]))
    assert good.tolist() == [False, False, True, True]


def test_reasons() -> None:
    shot = Shot().lose(20, 21)
    shot.confidence[[21, 22, 60, 61]] = 0.0
    filled = shot.fill()
    assert filled.gaps == (Gap(20, 22, "no face"), Gap(60, 61, "low confidence"))
    assert np.flatnonzero(~filled.valid).tolist() == [20, 21, 22, 60, 61]


def test_times_count_not_frame_numbers() -> None:
    shot = Shot()
    shot.time[40:] += 2.0
    shot.params.crop_camera[:] = shot.time[:, None]
    filled = shot.lose(*range(36, 44)).fill()
    assert np.allclose(filled.params.crop_camera, shot.time[:, None])


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_backwards_it_is_the_same(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shot = Shot(60, seed)
    shot.time = np.cumsum(rng.uniform(0.02, 0.06, 60))
    shot.segment[25:] = 1
    shot.lose(*np.flatnonzero(rng.random(60) < 0.4)[:-1].tolist())
    if not shot.valid[:25].any() or not shot.valid[25:].any():
        return
    forward = shot.fill()
    flipped = Shot(60, seed)
    flipped.time, flipped.valid = -shot.time[::-1], shot.valid[::-1]
    flipped.segment, flipped.confidence = 1 - shot.segment[::-1], shot.confidence[::-1]
    flipped.params = FaceParams(**{field.name: getattr(shot.params, field.name)[::-1] for field in fields(FaceParams)})
    flipped.translation = shot.translation[::-1]
    backward = flipped.fill()
    for name, array in values(forward).items():
        assert np.allclose(array, values(backward)[name][::-1], atol=1e-9), name


def test_without_any_reliable_frame_it_says_so() -> None:
    shot = Shot(10)
    shot.confidence[:] = 0.1
    with pytest.raises(MienError) as refused:
        shot.fill()
    assert refused.value.code is ErrorCode.NO_FACE


def test_the_input_is_not_changed() -> None:
    shot = Shot().lose(5, 6)
    kept = replace(shot.params, expression=shot.params.expression.copy())
    shot.fill()
    assert np.array_equal(shot.params.expression, kept.expression, equal_nan=True)
