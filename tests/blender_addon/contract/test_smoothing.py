# SPDX-License-Identifier: GPL-3.0-or-later
"""Smoothing: no lag, calm where nothing moves, blinks and lip closures whole, shots apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blender_addon.contract import rotations
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.smoothing import DEFAULT_STRENGTH, GROUPS, SMOOTHED, channel_group, smooth, with_raw
from blender_addon.contract.take import Take
from tests.fake_takes import same_arrays, small_meta, small_take

CHANNELS = ("mouthSmileLeft", "browInnerUp", "eyeSquintLeft", "jawForward", "mouthPressLeft")
RATES = (24.0, 30.0, 60.0)


def still_take(frames: int, rate: float = 24.0, **changes: object) -> Take:
    """A head that does not move at all, without noise."""

    def rows(*row: float) -> np.ndarray:
        return np.tile(np.array(row, np.float32), (frames, 1))

    values: dict[str, object] = {
        "meta": small_meta(channels=CHANNELS, rate=rate),
        "time": np.arange(frames) / rate,
        "confidence": np.full(frames, 0.9, np.float32),
        "expression": rows(0.3, 0.4, 0.2, 0.5, 0.1),
        "eyelids": rows(0.1, 0.1),
        "head_rotation": rows(0.1, -0.3, 0.05),
        "neck": rows(0, 0, 0),
        "jaw": rows(0.1, 0, 0),
        "eyes": rows(0.05, -0.1, 0, 0.05, -0.12, 0),
        "translation": rows(0.02, -0.01, 0.7),
        "extra": {},
    }
    return small_take(frames=frames, **(values | changes))


def noisy_take(frames: int, rate: float = 24.0, seed: int = 0) -> Take:
    """A head that does not move, with about the noise of a fit."""
    rng = np.random.default_rng(seed)
    take = still_take(frames, rate)
    sizes = {"expression": 0.008, "eyelids": 0.008, "head_rotation": 0.002, "eyes": 0.004, "translation": 0.0004}
    noisy = {
        name: getattr(take, name) + size * rng.normal(size=getattr(take, name).shape) for name, size in sizes.items()
    }
    noisy["translation"][:, 2] += 0.003 * rng.normal(size=frames)
    noisy["jaw"] = take.jaw + rng.normal(size=take.jaw.shape) * [0.002, 0, 0]
    return replace(take, **{name: value.astype(np.float32) for name, value in noisy.items()})


def with_lids(take: Take, lids: np.ndarray) -> Take:
    """The take with one series (T,) on both eyelids."""
    return with_raw(replace(take, eyelids=np.repeat(lids[:, None], 2, axis=1).astype(np.float32)))


def smoothed_lids(
    lids: np.ndarray, rate: float = 24.0, strength: float = DEFAULT_STRENGTH, **changes: object
) -> np.ndarray:
    """(T,) the series as it comes out."""
    return smooth(with_lids(replace(still_take(len(lids), rate), **changes), lids), strength).eyelids[:, 0]


def steps(values: np.ndarray) -> float:
    """Root mean square of the change from frame to frame."""
    return float(np.sqrt((np.diff(values, axis=0) ** 2).mean()))


def turns(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(T,) angles between rotations (T,3)."""
    one, other = rotations.to_quaternions(one), rotations.to_quaternions(other)
    return 2 * np.arccos(np.clip(np.abs((one * other).sum(axis=-1)), 0, 1))


def test_strength_0_gives_the_raw_values_exactly() -> None:
    take = with_raw(noisy_take(40))
    strong = smooth(take, 1.0)
    assert not np.array_equal(strong.expression, take.expression)
    assert same_arrays(smooth(strong, 0.0), take)


def test_smoothing_starts_from_the_raw_values_whatever_the_take_holds() -> None:
    take = with_raw(noisy_take(40))
    twice = smooth(smooth(take, 1.0), 0.5)
    assert same_arrays(twice, smooth(take, 0.5))
    assert twice.meta.smoothing == 0.5
    assert np.array_equal(twice.extra["raw_expression"], take.expression)


def test_the_strength_is_steady_even_near_0() -> None:
    take = with_raw(noisy_take(60))
    for strength in (0.0, 0.013, 0.1, 0.37, 0.5, 0.93):
        here, there = smooth(take, strength), smooth(take, strength + 1e-4)
        for name in SMOOTHED:
            assert np.abs(getattr(here, name) - getattr(there, name)).max() < 1e-3 * max(1, np.ptp(getattr(take, name)))


def test_more_strength_is_calmer() -> None:
    take = with_raw(noisy_take(300))
    for name in SMOOTHED:
        if name != "neck":
            levels = [steps(getattr(smooth(take, strength), name)) for strength in (0.0, 0.25, 0.5, 1.0)]
            assert levels == sorted(levels, reverse=True), name


@pytest.mark.parametrize("rate", RATES)
def test_a_still_head_calms_down_eightfold(rate: float) -> None:
    take = with_raw(noisy_take(600, rate))
    calm = smooth(take, DEFAULT_STRENGTH)
    for name in ("expression", "head_rotation", "jaw", "eyes", "translation"):
        assert steps(getattr(take, name)) > 8 * steps(getattr(calm, name)), name
    assert steps(take.eyelids) > 6 * steps(calm.eyelids)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("length", [1, 2, 3])
@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_blinks_keep_their_depth_under_noise(rate: float, length: int, strength: float) -> None:
    rng = np.random.default_rng(length)
    lids = 0.05 + 0.015 * rng.normal(size=600)
    starts = np.arange(40, 560, 53)
    for frame in range(length):
        lids[starts + frame] = 1.0
    lids = np.clip(lids, 0, 1)
    result = smoothed_lids(lids, rate, strength)
    depth = np.max([result[starts + frame] for frame in range(length)], axis=0) - 0.05
    assert depth.min() > 0.95 * 0.95
    flanks = np.concatenate((result[starts - 1], result[starts + length]))
    assert flanks.max() < 0.05 + 0.1, "the blink leaks into the frames beside it"
    between = np.concatenate([result[start + length + 12 : start + 45] for start in starts[:-1]])
    assert np.abs(between - 0.05).max() < 0.05, "the blink rings"


@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_a_blink_leaves_no_ripples_beside_it(strength: float) -> None:
    rng = np.random.default_rng(0)
    lids = 0.2 + 0.01 * rng.normal(size=3000)
    starts = np.arange(40, 2940, 29)
    for frame in range(3):
        lids[starts + frame] = 1.0
    result = smoothed_lids(np.clip(lids, 0, 1), strength=strength)
    for away in (-5, -4, -3, -2, 4, 5, 6, 7):
        assert abs(result[starts + away].mean() - 0.2) < 0.008, away


@pytest.mark.parametrize("length", [2, 3])
def test_lip_closures_of_a_speaker_keep_their_depth(length: int) -> None:
    take = noisy_take(400)
    jaw = take.jaw.copy()
    jaw[:, 0] += 0.12
    press = take.expression.copy()
    starts = np.arange(30, 370, 17)
    for frame in range(length):
        jaw[starts + frame, 0] -= 0.2
        press[starts + frame, 4] += 0.5
    take = with_raw(replace(take, jaw=jaw, expression=press))
    result = smooth(take, DEFAULT_STRENGTH)
    for raw, values, open_value in (
        (take.jaw[:, 0], result.jaw[:, 0], 0.22),
        (take.expression[:, 4], result.expression[:, 4], 0.1),
    ):
        dips = [np.stack([series[starts + frame] for frame in range(length)]).mean(axis=0) for series in (raw, values)]
        kept = (dips[1] - open_value) / (dips[0] - open_value)
        assert kept.min() > 0.95


def test_a_jump_of_the_eyes_stays_a_jump() -> None:
    take = noisy_take(120)
    eyes = take.eyes.copy()
    eyes[60:, [1, 4]] += 0.3
    result = smooth(with_raw(replace(take, eyes=eyes)), DEFAULT_STRENGTH).eyes[:, 1]
    before, after = result[40:58].mean(), result[64:80].mean()
    assert after - before == pytest.approx(0.3, abs=0.01)
    assert result[60] - result[59] > 0.27, "the jump takes more than a frame"
    assert result.min() > before - 0.03 and result.max() < after + 0.03


@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_no_lag(strength: float) -> None:
    """The phase of a nod, of a slow mouth and of a depth that follow a sine of 1 Hz with noise."""
    take = noisy_take(480)
    phase = 2 * np.pi * take.time
    wave = np.sin(phase).astype(np.float32)
    head, mouth, moved = take.head_rotation.copy(), take.expression.copy(), take.translation.copy()
    head[:, 0] += 0.1 * wave
    mouth[:, 0] += 0.2 * wave
    moved[:, 0] += 0.02 * wave
    result = smooth(with_raw(replace(take, head_rotation=head, expression=mouth, translation=moved)), strength)
    for series in (result.head_rotation[:, 0], result.expression[:, 0], result.translation[:, 0]):
        inside = slice(48, -48)
        coefficient = ((series - series.mean()) * np.exp(-1j * phase))[inside].mean()
        lag_seconds = (np.angle(coefficient) + np.pi / 2) / (2 * np.pi)
        assert abs(lag_seconds * 24) < 0.1
        truth = np.sin(phase)[inside]
        assert np.corrcoef(series[inside], truth)[0, 1] > 0.99


def test_time_runs_either_way() -> None:
    take = with_raw(noisy_take(90))
    rng = np.random.default_rng(5)
    time = np.cumsum(rng.uniform(0.02, 0.06, 90))
    eyelids = take.eyelids.copy()
    eyelids[30:32] = 1.0
    eyelids[70:] = 0.6
    take = with_raw(replace(take, time=time, eyelids=eyelids))
    flipped = with_raw(
        replace(take, time=time[-1] - time[::-1], **{name: getattr(take, name)[::-1] for name in SMOOTHED})
    )
    forward, backward = smooth(take, 0.7), smooth(flipped, 0.7)
    for name in SMOOTHED:
        assert np.allclose(getattr(forward, name), getattr(backward, name)[::-1], atol=1e-5), name


def test_what_does_not_move_stays_exactly() -> None:
    take = with_raw(still_take(30))
    result = smooth(take, 1.0)
    for name in SMOOTHED:
        assert np.allclose(getattr(result, name), getattr(take, name), atol=1e-7), name
    assert np.array_equal(result.neck, take.neck)
    assert np.array_equal(result.expression, take.expression)


@given(st.integers(0, 10_000), st.floats(0.1, 1.0))
@settings(max_examples=20, deadline=None)
def test_straight_lines_stay_straight_at_uneven_times(seed: int, strength: float) -> None:
    rng = np.random.default_rng(seed)
    time = np.cumsum(rng.uniform(0.005, 0.09, 50))
    lids = 0.1 + 0.8 * (time - time[0]) / np.ptp(time)
    assert np.allclose(smoothed_lids(lids, strength=strength, time=time), lids, atol=1e-3)


def test_uneven_times_give_the_same_curve_as_even_ones() -> None:
    """Every third frame of a clip at 48 fps is missing: the same motion, with the same noise, comes out."""
    rng = np.random.default_rng(2)
    time = np.arange(480) / 48

    def motion(seconds: np.ndarray) -> np.ndarray:
        return 0.5 + 0.2 * np.sin(2 * np.pi * 0.8 * seconds)

    noisy = motion(time) + 0.01 * rng.normal(size=480)
    left = np.arange(480) % 3 != 1
    full = smoothed_lids(noisy, time=time)
    uneven = smoothed_lids(noisy[left], time=time[left])
    truth = motion(time[left])
    by_number = smoothed_lids(noisy[left], rate=32.0)
    assert np.abs(uneven - full[left])[12:-12].max() < 0.02
    assert np.sqrt(((uneven - truth) ** 2).mean()) < 0.006
    assert steps(np.diff(uneven - truth)) < steps(np.diff(by_number - truth)), "times do not matter"


def test_shots_do_not_see_each_other() -> None:
    """A small jump at a cut, which smoothing would else take for noise."""
    take = noisy_take(70)
    segment = np.repeat(np.array([0, 1], np.int32), (40, 30))

    def smoothed(jump: float, **extra: np.ndarray) -> Take:
        later = {name: getattr(take, name).copy() for name in ("expression", "eyelids", "eyes", "translation")}
        for values in later.values():
            values[40:] += np.float32(jump)
        return smooth(with_raw(replace(take, **later, extra=extra)), DEFAULT_STRENGTH)

    apart, without = smoothed(0.01, segment=segment), smoothed(0.0, segment=segment)
    for name, tolerance in {"expression": 1e-6, "eyelids": 1e-6, "eyes": 1e-4, "translation": 1e-4}.items():
        here, there = getattr(apart, name), getattr(without, name)
        assert np.allclose(here[:40], there[:40], atol=tolerance), name
        assert np.allclose(here[40:] - 0.01, there[40:], atol=3 * tolerance), name
    joined = smoothed(0.01)
    assert not np.allclose(joined.expression[36:40], apart.expression[36:40], atol=1e-3)


def test_shots_are_told_apart_by_change_of_number_only() -> None:
    take = noisy_take(60)
    numbers = [np.repeat(np.array(shots, np.int32), 20) for shots in ([0, 1, 2], [9, 5, 2])]
    one, other = (smooth(with_raw(replace(take, extra={"segment": segment})), 0.5) for segment in numbers)
    assert np.array_equal(one.expression, other.expression)


def test_the_ends_of_a_shot_are_calm_too() -> None:
    ends = []
    for seed in range(40):
        moved = np.diff(smooth(with_raw(noisy_take(40, seed=seed)), DEFAULT_STRENGTH).expression, axis=0)
        ends.append(moved[[0, -1]])
    assert np.std(ends) < 0.35 * 0.008, "a parabola follows the noise there"


def test_rotations_are_smoothed_alike_from_wherever_they_start() -> None:
    """A head that looks elsewhere, with the same motion, comes out the same: nods, glances and noise."""
    take = noisy_take(120)
    head = take.head_rotation.copy()
    head[50:53] += [0.08, 0.01, 0.0]
    head[80:82] += [0.006, 0.006, 0.003]
    turned = rotations.to_quaternions(np.array([0.7, -0.9, 1.1]))
    moved = rotations.to_axis_angles(rotations.multiply(turned, rotations.to_quaternions(head)))
    here = smooth(with_raw(replace(take, head_rotation=head)), DEFAULT_STRENGTH).head_rotation
    there = smooth(with_raw(replace(take, head_rotation=moved.astype(np.float32))), DEFAULT_STRENGTH).head_rotation
    back = rotations.to_axis_angles(rotations.multiply(turned, rotations.to_quaternions(here)))
    assert turns(back, there).max() < 5e-4


def test_frames_of_low_confidence_count_less() -> None:
    take = noisy_take(81)
    lids = take.eyelids.copy()
    lids[40] = 0.16
    sure = smooth(with_raw(replace(take, eyelids=lids)), DEFAULT_STRENGTH).eyelids[40, 0]
    unsure = np.full(81, 0.9, np.float32)
    unsure[40] = 0.1
    poor = smooth(with_raw(replace(take, eyelids=lids, confidence=unsure)), DEFAULT_STRENGTH).eyelids[40, 0]
    assert sure > 0.14
    assert poor < 0.115


def gappy_take(rest: float) -> Take:
    """Frames 30 to 59 and 100 on are filled, with rubbish or a curve towards `rest`."""
    take = noisy_take(120)
    valid = np.ones(120, bool)
    valid[30:60] = valid[100:] = False
    expression = take.expression.copy()
    expression[30:60] = rest + (expression[29] - rest) * np.abs(np.linspace(-1, 1, 30))[:, None] ** 3
    expression[100:] = rest + (expression[99] - rest) * np.exp(-np.arange(1, 21) / 6)[:, None]
    return with_raw(replace(take, valid=valid, expression=expression))


def test_what_was_filled_in_does_not_bend_what_was_seen() -> None:
    one, other = (smooth(gappy_take(rest), DEFAULT_STRENGTH) for rest in (0.0, 0.9))
    assert np.array_equal(one.expression[one.valid], other.expression[one.valid])
    assert not np.allclose(one.expression[~one.valid], other.expression[~one.valid], atol=0.1)


@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_filled_frames_keep_their_course_and_join_the_smoothed_ones(strength: float) -> None:
    take = gappy_take(0.0)
    result = smooth(take, strength)
    change = result.expression - take.expression
    assert np.abs(change[[29, 60, 99]]).max() > 0.005, "nothing to join"
    for before, frame in ((29, 30), (60, 59), (99, 100)):
        assert np.abs(change[frame] - change[before]).max() < 0.004
    assert np.abs(change[~take.valid]).max() <= np.abs(change[[29, 60, 99]]).max()
    assert np.abs(np.diff(change[30:60], axis=0)).max() < 0.004
    assert np.abs(change[-1]).max() < 0.002


def test_filled_frames_do_not_join_another_shot() -> None:
    """A gap before a cut follows its own shot, a shot without a good frame nothing at all."""
    take = noisy_take(90)
    valid = np.ones(90, bool)
    valid[25:30] = valid[30:60] = False
    segment = np.repeat(np.array([0, 1, 2], np.int32), 30)
    take = with_raw(replace(take, valid=valid, extra={"segment": segment}))
    change = smooth(take, DEFAULT_STRENGTH).expression - take.expression
    assert np.abs(change[[24, 60]]).max() > 0.004
    assert np.abs(change[30:60]).max() < 1e-6
    assert np.allclose(change[25:30], change[24] * np.exp(-np.arange(1, 6) / 24 / 0.25)[:, None], atol=1e-5)


def test_a_take_without_any_good_frame_stays_as_it_is() -> None:
    take = with_raw(replace(noisy_take(20), valid=np.zeros(20, bool)))
    assert np.allclose(smooth(take, 1.0).expression, take.expression)


def test_a_head_that_rolls_past_half_a_turn_does_not_jump() -> None:
    """A face lying upside down: raw axis-angle vectors jump by a whole turn there."""
    take = noisy_take(100)
    roll = np.pi + 0.2 * np.sin(np.arange(100) / 15)
    quaternions = rotations.to_quaternions(roll[:, None] * np.array([0.0, 0.0, 1.0]))
    shorter = np.where(quaternions[:, :1] < 0, -quaternions, quaternions)
    raw = rotations.to_axis_angles(shorter) + 0.002 * np.random.default_rng(0).normal(size=(100, 3))
    assert np.abs(np.diff(raw, axis=0)).max() > 6
    result = smooth(with_raw(replace(take, head_rotation=raw.astype(np.float32))), DEFAULT_STRENGTH).head_rotation
    assert np.abs(np.diff(result, axis=0)).max() < 0.05
    assert turns(result, raw).max() < 0.02


def test_depth_is_smoothed_without_moving_the_face_in_the_picture() -> None:
    """Depth noise of millimetres goes; a face at the edge of a wide picture stays where it was seen."""
    rng = np.random.default_rng(1)
    take = still_take(240)
    depth = 0.6 + 0.005 * rng.normal(size=240)
    rays = np.stack((np.full(240, 0.5), np.full(240, -0.3), np.ones(240)), axis=1)
    offset = rotations.rotate(rotations.to_quaternions(take.head_rotation), np.array([0.0, 0.14, 0.1])) * [1, -1, -1]
    take = with_raw(replace(take, translation=(rays * depth[:, None] - offset).astype(np.float32)))
    face = smooth(take, DEFAULT_STRENGTH).translation + offset
    assert steps(face[:, 2]) * 10 < steps(depth)
    assert np.abs(face[:, :2] / face[:, 2:] - rays[:, :2]).max() < 1e-4


def test_noise_of_the_turn_does_not_pass_into_the_place() -> None:
    """What a fit gets wrong about the turn it makes good by the translation; smoothing keeps them together."""
    rng = np.random.default_rng(4)
    take = still_take(240)
    turn = take.head_rotation + 0.01 * rng.normal(size=(240, 3))
    turn[100:103, 1] += 0.2
    face = np.array([0.0, 0.14, 0.1])

    def at(rotation: np.ndarray) -> np.ndarray:
        return rotations.rotate(rotations.to_quaternions(rotation), face) * [1, -1, -1]

    place = np.array([0.02, 0.01, 0.7])
    take = with_raw(
        replace(take, head_rotation=turn.astype(np.float32), translation=(place - at(turn)).astype(np.float32))
    )
    result = smooth(take, DEFAULT_STRENGTH)
    assert np.abs(result.translation + at(result.head_rotation) - place).max() < 2e-5


@given(st.integers(0, 10_000), st.sampled_from([0.05, 0.5, 1.0]))
@settings(max_examples=15, deadline=None)
def test_units_stay_within_0_and_1_and_others_are_free(seed: int, strength: float) -> None:
    rng = np.random.default_rng(seed)
    take = still_take(50)
    expression = (rng.random((50, 5)) < 0.3).astype(np.float32)
    expression[:, 1] = 3 * rng.normal(size=50)
    lids = (rng.random((50, 2)) < 0.3).astype(np.float32)
    result = smooth(with_raw(replace(take, expression=expression, eyelids=lids)), strength)
    units = result.expression[:, [0, 2, 3, 4]]
    assert units.min() >= 0 and units.max() <= 1
    assert result.eyelids.min() >= 0 and result.eyelids.max() <= 1
    assert result.expression[:, 1].min() < 0


def test_channels_do_not_depend_on_each_other() -> None:
    take = noisy_take(60)
    order = np.array([3, 0, 4, 2, 1])
    shuffled = replace(
        take,
        meta=small_meta(channels=tuple(CHANNELS[index] for index in order), rate=24.0),
        expression=take.expression[:, order],
    )
    one, other = smooth(with_raw(take), 0.5), smooth(with_raw(shuffled), 0.5)
    assert np.allclose(one.expression[:, order], other.expression, atol=1e-6)


@pytest.mark.parametrize("group", GROUPS)
def test_each_group_has_its_own_factor(group: str) -> None:
    take = with_raw(noisy_take(60))
    only = smooth(take, 0.5, {name: float(name == group) for name in GROUPS})
    full = smooth(take, 0.5)
    owners = {
        "eyelids": "lids",
        "head_rotation": "pose",
        "jaw": "jaw",
        "eyes": "gaze",
        "translation": "pose",
    }
    for name, owner in owners.items():
        assert np.array_equal(getattr(only, name), getattr(full if owner == group else take, name)), name
    for index, name in enumerate(CHANNELS):
        wanted = full if channel_group(name) == group else take
        assert np.array_equal(only.expression[:, index], wanted.expression[:, index]), name


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("browDownLeft", "brows"),
        ("eyeBlinkLeft", "lids"),
        ("eyeSquintRight", "lids"),
        ("eyeLookInLeft", "gaze"),
        ("jawForward", "jaw"),
        ("mouthClose", "mouth"),
        ("cheekPuff", "mouth"),
        ("cheekSquintLeft", "lids"),
        ("noseSneerLeft", "mouth"),
        ("expression_17", "mouth"),
    ],
)
def test_groups_of_channels(name: str, group: str) -> None:
    assert channel_group(name) == group


def test_a_still_is_left_alone_and_a_take_without_raw_values_refused() -> None:
    still = small_take()
    assert smooth(still, 1.0) is still
    with pytest.raises(MienError) as refused:
        smooth(small_take(frames=5), 0.5)
    assert refused.value.code is ErrorCode.BAD_TAKE
    assert "photo.jpg" in refused.value.message and "raw" not in refused.value.message


@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan")])
def test_a_strength_out_of_range_is_refused(strength: float) -> None:
    with pytest.raises(MienError) as refused:
        smooth(with_raw(noisy_take(4)), strength)
    assert refused.value.code is ErrorCode.USAGE


@pytest.mark.parametrize("groups", [{"nose": 1.0}, {"lids": -1.0}, {"jaw": float("inf")}])
def test_a_wrong_group_or_factor_is_refused(groups: dict[str, float]) -> None:
    with pytest.raises(MienError) as refused:
        smooth(with_raw(noisy_take(4)), 0.5, groups)
    assert refused.value.code is ErrorCode.USAGE


@pytest.mark.parametrize("frames", [2, 3, 4])
def test_very_short_takes(frames: int) -> None:
    take = with_raw(noisy_take(frames))
    result = smooth(take, 1.0)
    for name in SMOOTHED:
        assert np.abs(getattr(result, name) - getattr(take, name)).max() < 0.05


def test_frames_at_the_same_time_are_no_trouble() -> None:
    take = noisy_take(40)
    time = take.time.copy()
    time[10:14] = time[10]
    result = smooth(with_raw(replace(take, time=time)), DEFAULT_STRENGTH)
    assert steps(result.expression) < steps(take.expression) / 3
    allatonce = smooth(with_raw(replace(take, time=np.zeros(40))), DEFAULT_STRENGTH)
    assert np.isfinite(allatonce.expression).all()


def components_take(frames: int, spread: float, seed: int = 0) -> Take:
    """A head in FLAME's manner: one component moves by two standard deviations, all tremble by `spread`."""
    rng = np.random.default_rng(seed)
    take = still_take(frames)
    names = tuple(f"exp{number:03d}" for number in range(1, len(CHANNELS) + 1))
    values = spread * rng.normal(size=take.expression.shape)
    values[frames // 2 :, 0] += 2.0
    meta = replace(take.meta, channels=names)
    return with_raw(replace(take, meta=meta, expression=values.astype(np.float32)))


def test_trembling_components_of_shape_come_to_rest():
    take = components_take(240, 0.15)
    smoothed = smooth(take, DEFAULT_STRENGTH)
    before, after = (np.diff(item.expression[:, 1:], axis=0).std() for item in (take, smoothed))
    print(f"jitter {before:.3f} to {after:.3f}")
    assert after < 0.25 * before
    step = smoothed.expression[:, 0]
    assert step[130:].mean() - step[:110].mean() == pytest.approx(2.0, abs=0.15)
    assert step[123] - step[116] > 1.4


def test_components_are_not_held_between_0_and_1():
    take = components_take(240, 0.15)
    lowered = with_raw(replace(take, expression=take.expression - 3))
    for strength in (0.0, DEFAULT_STRENGTH):
        smoothed = smooth(lowered, strength).expression
        assert smoothed.max() < 0 and smoothed.min() < -3
