# SPDX-License-Identifier: GPL-3.0-or-later
"""The live filter: calm at rest, quick when it matters, on real timestamps."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from backend.live.filters import CausalFilter
from backend.live.frames import LiveFrame
from backend.solve.gaps import RELAX_SECONDS
from blender_addon.contract import rotations
from blender_addon.contract.errors import ErrorCode, MienError

CHANNELS = ("mouthSmileLeft", "browInnerUp", "eyeLookInLeft")
NAMES = tuple(field.name for field in fields(LiveFrame))


def live_frame(**changes: object) -> LiveFrame:
    values = {
        "expression": np.array([0.3, 0.5, 0.1]),
        "eyelids": np.array([0.1, 0.1]),
        "head_rotation": np.array([0.1, -0.3, 0.05]),
        "neck": np.zeros(3),
        "jaw": np.array([0.1, 0, 0]),
        "eyes": np.array([0.05, -0.1, 0, 0.05, -0.12, 0]),
        "translation": np.array([0.02, -0.01, 0.7]),
    }
    return LiveFrame(**{name: np.asarray(value) for name, value in (values | changes).items()})


def run(frames: list[LiveFrame | None], times: np.ndarray, strength: float = 0.5) -> list[LiveFrame | None]:
    smoother = CausalFilter(CHANNELS, strength)
    return [smoother.update(float(time), frame) for time, frame in zip(times, frames, strict=True)]


def series(frames: list[LiveFrame], name: str) -> np.ndarray:
    return np.stack([getattr(frame, name) for frame in frames])


def steps(values: np.ndarray) -> float:
    return float(np.sqrt((np.diff(values, axis=0) ** 2).mean()))


def noisy(count: int, seed: int = 0) -> list[LiveFrame]:
    rng = np.random.default_rng(seed)
    still = live_frame()
    sizes = {"expression": 0.006, "eyelids": 0.003, "head_rotation": 0.0006, "jaw": 0.001, "translation": 0.0001}
    return [
        replace(still, **{name: getattr(still, name) + size * rng.normal(size=getattr(still, name).shape)
                          for name, size in sizes.items()})
        for _ in range(count)
    ]  # fmt: skip


def test_the_first_frame_comes_through_as_it_is() -> None:
    frame = live_frame()
    (result,) = run([frame], np.zeros(1))
    assert result is not None
    for name in NAMES:
        assert np.allclose(getattr(result, name), getattr(frame, name)), name


def test_a_still_face_stays_still() -> None:
    results = run([live_frame()] * 20, np.arange(20) / 30)
    for name in NAMES:
        assert np.allclose(series(results, name), getattr(live_frame(), name)), name


@pytest.mark.parametrize("rate", [24, 30, 60])
def test_noise_of_a_still_face_is_calmed(rate: int) -> None:
    frames = noisy(400)
    results = run(frames, np.arange(400) / rate)
    for name, factor in {"expression": 3, "head_rotation": 4, "translation": 3, "jaw": 2, "eyelids": 2.5}.items():
        assert steps(series(frames, name)[50:]) > factor * steps(series(results, name)[50:]), name


def test_more_strength_is_calmer_and_none_lets_all_through() -> None:
    frames, times = noisy(200), np.arange(200) / 30
    levels = [steps(series(run(frames, times, strength), "expression")) for strength in (0, 0.25, 0.5, 1)]
    assert levels == sorted(levels, reverse=True)
    for name in NAMES:
        assert np.allclose(series(run(frames, times, 0.0), name), series(frames, name)), name


@pytest.mark.parametrize("rate", [15, 24, 30, 60])
def test_a_blink_passes_in_its_own_frame(rate: int) -> None:
    frames = noisy(60)
    frames[40] = replace(frames[40], eyelids=np.array([1.0, 1.0]))
    lids = series(run(frames, np.arange(60) / rate), "eyelids")
    assert lids[40].min() > 0.1 + 0.95 * 0.9
    assert lids[41].max() < 0.1 + 0.1
    assert lids[43].max() < 0.12


def test_a_jump_of_the_eyes_takes_two_frames_at_most() -> None:
    frames = noisy(30)
    frames = frames[:15] + [replace(frame, eyes=frame.eyes + [0, 0.3, 0, 0, 0.3, 0]) for frame in frames[15:]]
    eyes = series(run(frames, np.arange(30) / 30), "eyes")[:, 1]
    assert eyes[15] + 0.1 > 0.8 * 0.3
    assert eyes[16] + 0.1 > 0.95 * 0.3
    assert eyes.max() < 0.2 + 0.01


def test_a_turning_head_is_followed_closely() -> None:
    times = np.arange(120) / 30
    angle = 0.5 * np.sin(2 * np.pi * 0.7 * times)
    frames = [
        replace(frame, head_rotation=np.array([0, turn, 0])) for frame, turn in zip(noisy(120), angle, strict=True)
    ]
    turned = series(run(frames, times), "head_rotation")[:, 1]
    coefficient = (turned * np.exp(-2j * np.pi * 0.7 * times))[34:].mean()
    lag = -(np.angle(coefficient) + np.pi / 2) / (2 * np.pi * 0.7)
    assert 0 < lag < 1 / 30


def test_it_goes_by_time_not_by_frames() -> None:
    """A step seen after half a second has settled further than one seen after a frame."""
    after = live_frame(expression=np.array([0.32, 0.5, 0.1]))
    soon = run([live_frame(), after], np.array([0, 0.03]))[1]
    late = run([live_frame(), after], np.array([0, 0.5]))[1]
    assert soon is not None and late is not None
    assert soon.expression[0] < 0.31 < 0.316 < late.expression[0] < 0.32


def test_rotations_pass_half_a_turn_the_short_way() -> None:
    angles = np.deg2rad(np.linspace(150, 210, 60))
    vectors = np.where(angles > np.pi, angles - 2 * np.pi, angles)[:, None] * [0, 0, 1.0]
    frames = [replace(live_frame(), head_rotation=vector) for vector in vectors]
    turned = rotations.to_quaternions(series(run(frames, np.arange(60) / 30), "head_rotation"))
    off = 2 * np.arccos(np.clip(np.abs((turned * rotations.to_quaternions(vectors)).sum(axis=1)), 0, 1))
    assert np.rad2deg(off).max() < 5


def test_without_a_face_the_expression_relaxes_and_the_pose_is_held() -> None:
    frames = [live_frame()] * 10 + [None] * 30 + [live_frame()] * 30
    results = run(frames, np.arange(70) / 30)
    start = results[9]
    for count in (1, 10, 30):
        left, lost = np.exp(-count / 30 / RELAX_SECONDS), results[9 + count]
        for name in ("expression", "eyelids", "jaw", "eyes"):
            assert np.allclose(getattr(lost, name), getattr(start, name) * left), name
        for name in ("head_rotation", "neck", "translation"):
            assert np.allclose(getattr(lost, name), getattr(start, name)), name
    back = series(results[39:], "expression")[:, 0]
    assert np.diff(back).min() >= 0 and back[-1] == pytest.approx(0.3, abs=0.01)
    assert np.diff(back).max() < 0.1, "the expression jumps when the face is back"


def test_one_lost_frame_does_not_slow_the_next() -> None:
    frames = [live_frame()] * 10 + [None, live_frame(eyelids=np.ones(2))]
    assert run(frames, np.arange(12) / 30)[-1].eyelids.min() > 0.95


def test_a_face_that_is_back_elsewhere_is_taken_up_smoothly() -> None:
    moved = live_frame(translation=np.array([0.3, -0.01, 0.9]))
    results = run([live_frame()] * 10 + [None] * 20 + [moved] * 20, np.arange(50) / 30)
    way = series(results[29:], "translation")[:, 0]
    assert np.diff(way).max() < 0.4 * 0.28
    assert way[10] == pytest.approx(0.3, abs=0.01)


def test_nothing_before_the_first_face_nor_after_a_reset() -> None:
    smoother = CausalFilter(CHANNELS)
    assert smoother.update(0.0, None) is None
    assert smoother.update(0.1, live_frame()) is not None
    smoother.reset()
    assert smoother.update(0.0, None) is None
    other = live_frame(expression=np.array([0.9, 0.9, 0.9]))
    result = smoother.update(0.05, other)
    assert result is not None and np.allclose(result.expression, 0.9)


def test_a_frame_that_comes_late_is_left_out() -> None:
    smoother = CausalFilter(CHANNELS)
    smoother.update(1.0, live_frame())
    result = smoother.update(1.0, live_frame(expression=np.ones(3)))
    assert result is not None and np.allclose(result.expression, live_frame().expression)
    result = smoother.update(0.5, None)
    assert result is not None and np.allclose(result.expression, live_frame().expression)


def test_values_stay_between_what_was_seen() -> None:
    rng = np.random.default_rng(3)
    frames = [
        live_frame(expression=rng.integers(0, 2, 3).astype(float), eyelids=rng.integers(0, 2, 2).astype(float))
        for _ in range(200)
    ]
    results = run(frames, np.cumsum(rng.uniform(0.005, 0.1, 200)))
    for name in ("expression", "eyelids"):
        assert series(results, name).min() >= 0 and series(results, name).max() <= 1


def test_the_input_is_not_changed() -> None:
    frame = live_frame()
    run([frame, None, frame], np.arange(3) / 30)
    for name in NAMES:
        assert np.array_equal(getattr(frame, name), getattr(live_frame(), name)), name


def test_a_strength_out_of_range_is_refused() -> None:
    with pytest.raises(MienError) as refused:
        CausalFilter(CHANNELS, 1.5)
    assert refused.value.code is ErrorCode.USAGE
