# SPDX-License-Identifier: GPL-3.0-or-later
"""The measures of a solved clip: nothing on identical takes, the known answer on constructed deviations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from backend.heads import load_head
from backend.heads.model import HeadModel
from blender_addon.contract.take import Take
from tests import video_measures as measures
from tests.motion import ALL_GESTURES, Motion, Span, make_motion
from tests.synthetic_clip import truth_take

SIZE = (360, 640)
MATRIX = np.array([[889.0, 0, 320], [0, 889, 180], [0, 0, 1]])


@pytest.fixture(scope="module")
def model() -> HeadModel:
    return HeadModel(load_head("open"))


@pytest.fixture(scope="module")
def motion(model: HeadModel) -> Motion:
    return make_motion(model.head, 1, 8.0, 30.0, ALL_GESTURES)


@pytest.fixture(scope="module")
def truth(model: HeadModel, motion: Motion) -> Take:
    return truth_take(model.head, motion, SIZE, MATRIX)


def still(motion: Motion) -> Span:
    return next(span for span in motion.spans if span.name == "still")


def turned(take: Take, by: Rotation) -> Take:
    rotation = Rotation.from_rotvec(take.head_rotation.astype(float)) * by
    return replace(take, head_rotation=rotation.as_rotvec().astype(np.float32))


def test_identical_takes_do_not_differ(model: HeadModel, motion: Motion, truth: Take) -> None:
    numbers = measures.compare(model, truth, truth, motion.spans)
    assert min(numbers.correlation.values()) > 0.9999
    assert {"headYaw", "jaw", "eyelidLeft", "mouthSmileLeft", "eyeLeftTurn"} <= set(numbers.correlation)
    assert numbers.rotation.most < 0.01 and numbers.rotation.most_of_motion < 0.01
    assert numbers.translation.most < 1e-3
    assert numbers.identity < 1e-3
    assert numbers.jitter.head < 1e-4 and numbers.jitter.camera < 1e-4
    assert abs(numbers.lag) < 0.01
    assert numbers.blink == pytest.approx(1.0)
    assert len(list(numbers.rows())) == len(numbers.correlation) + 9


def test_a_constant_turn_is_told_from_motion(truth: Take) -> None:
    error = measures.rotation_error(truth, turned(truth, Rotation.from_euler("x", 2, degrees=True)))
    assert error.median == pytest.approx(2, abs=0.01) and error.most == pytest.approx(2, abs=0.01)
    assert error.most_of_motion < 0.01
    swaying = Rotation.from_rotvec(np.outer(np.resize([1.0, -1.0], len(truth)), [0, np.radians(3), 0]))
    error = measures.rotation_error(truth, turned(truth, swaying))
    assert error.median_of_motion == pytest.approx(3, abs=0.05)


def test_a_constant_factor_is_told_from_motion(truth: Take) -> None:
    error = measures.translation_error(truth, replace(truth, translation=truth.translation * 1.05))
    assert error.median == pytest.approx(5, abs=0.01)
    assert error.most_of_motion < 0.01
    moved = truth.translation.copy()
    moved[::2, 0] += 0.03
    error = measures.translation_error(truth, replace(truth, translation=moved))
    away = np.linalg.norm(truth.translation, axis=1)
    assert error.most == pytest.approx(np.percentile(np.where(np.arange(len(away)) % 2, 0, 3 / away), 95), rel=0.05)


def test_lag_is_measured_to_parts_of_a_frame(truth: Take) -> None:
    frame = np.arange(len(truth), dtype=float)

    def late(array: np.ndarray, by: float) -> np.ndarray:
        columns = [np.interp(frame - by, frame, column) for column in array.T]
        return np.stack(columns, axis=1).astype(np.float32)

    names = ("expression", "eyelids", "jaw", "eyes", "head_rotation")
    for by in (0.5, 1.5, -2.0):
        solved = replace(truth, **{name: late(getattr(truth, name), by) for name in names})
        assert measures.lag(truth, solved) == pytest.approx(by, abs=0.12)


def test_jitter_tells_expression_from_pose(model: HeadModel, motion: Motion, truth: Take) -> None:
    trembling = truth.translation.copy()
    trembling[::2, 0] += 2e-4
    by_place = measures.jitter(model, replace(truth, translation=trembling), still(motion))
    assert by_place.camera == pytest.approx(0.2, abs=0.002)
    assert by_place.head < 1e-4
    jaw = truth.jaw.copy()
    jaw[::2, 0] += 0.01
    by_jaw = measures.jitter(model, replace(truth, jaw=jaw), still(motion))
    assert by_jaw.head > 0.05
    assert by_jaw.camera == pytest.approx(by_jaw.head, rel=0.01)


def test_identity_error_ignores_size_but_not_shape(model: HeadModel, truth: Take) -> None:
    other = truth.identity.copy()
    other[:10] += 0.5
    wrong = measures.identity_error(model, truth, replace(truth, identity=other))
    assert 0.1 < wrong < 5
    half = measures.identity_error(model, truth, replace(truth, identity=(truth.identity + other) / 2))
    assert half == pytest.approx(wrong / 2, rel=0.2)


def test_blink_depth_is_that_of_the_shallowest(motion: Motion, truth: Take) -> None:
    blinks = [span for span in motion.spans if span.name == "blink"]
    lids = truth.eyelids.copy()
    lids[blinks[1].first : blinks[1].last + 1, 1] *= 0.7
    assert measures.blink_depth(truth, replace(truth, eyelids=lids), motion.spans) == pytest.approx(0.7)
    assert np.isnan(measures.blink_depth(truth, truth, [still(motion)]))


def test_correlation_of_what_is_lost_or_turned_round(truth: Take) -> None:
    smile = truth.meta.channels.index("mouthSmileLeft")
    expression = truth.expression.copy()
    expression[:, smile] = 0
    found = measures.correlations(truth, replace(truth, expression=expression, jaw=-truth.jaw))
    assert found["mouthSmileLeft"] == 0
    assert found["jaw"] == pytest.approx(-1)
    assert found["mouthSmileRight"] == pytest.approx(1)
    assert "cheekPuff" not in found


def test_takes_are_matched_by_frame_number(model: HeadModel, motion: Motion, truth: Take) -> None:
    part = measures.at_frames(truth, np.arange(20, 200))
    valid = part.valid.copy()
    valid[5] = False
    known, found = measures.matched(truth, replace(part, valid=valid))
    assert len(known) == len(found) == 179
    assert np.array_equal(known.extra["frame"], found.extra["frame"])
    assert known.extra["frame"][0] == 21
    numbers = measures.compare(model, truth, replace(part, valid=valid), motion.spans)
    assert numbers.rotation.most < 0.01 and numbers.blink == pytest.approx(1)
    assert numbers.jitter.camera < 1e-4  # of the part of the still span that is there
    with pytest.raises(ValueError, match="share no frames"):
        measures.matched(measures.at_frames(truth, np.arange(5)), measures.at_frames(truth, np.arange(5, 9)))
