# SPDX-License-Identifier: GPL-3.0-or-later
"""The landmark fit on synthetic heads with known truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from backend.engines.fit.fit import LandmarkFit
from backend.faces import topology
from backend.heads import load_head
from backend.heads.model import HeadModel
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.projection import HEAD_TO_CAMERA
from tests.fake_heads import small_head
from tests.measures import other_side
from tests.synthetic import MATRIX, SIZE, Truth, make_truth, solve, surface_error


@pytest.fixture(scope="module")
def head():
    return load_head("open")


@pytest.fixture(scope="module")
def engine(head):
    return LandmarkFit(head)


@pytest.fixture(scope="module")
def model(head):
    return HeadModel(head)


def test_noisy_landmarks_of_one_view_give_the_surface_back(head, engine, model):
    errors = []
    for seed in range(12):
        truth = make_truth(head, model, seed, noise=0.01)
        errors.append(surface_error(head, model, solve(engine, truth)[0], truth))
    assert np.median(errors) <= 1.3e-3


def test_exact_landmarks_give_pose_gaze_and_expression_back(head, engine, model):
    for seed in range(4):
        truth = make_truth(head, model, seed)
        params, translation = solve(engine, truth)
        turn = Rotation.from_rotvec(params.head_rotation[0]) * Rotation.from_rotvec(truth.rotation).inv()
        pitch, yaw, roll = np.degrees(np.abs(turn.as_rotvec()))
        assert yaw < 0.7 and roll < 0.7
        assert pitch < 2.5  # one frontal view hardly tells a bowed head from a longer face
        assert np.abs(translation[0] - truth.translation)[:2].max() < 0.005
        # Only the prior tells size and distance apart.
        assert abs(translation[0, 2] / truth.translation[2] - 1) < 0.06
        # Iris depth follows the fitted eye, so the gaze is only as exact as the eye's place.
        assert np.degrees(np.abs(params.eyes[0].reshape(2, 3)[:, :2] - truth.eyes[:2]).max()) < 4
        assert np.corrcoef(params.expression[0], truth.expression)[0, 1] > 0.9


def test_mirrored_landmarks_give_the_mirrored_face(head, engine, model):
    truth = make_truth(head, model, 3, noise=0.003)
    mirrored = truth.landmarks[topology.MIRROR_478].copy()
    mirrored[:, 0] = SIZE - mirrored[:, 0]
    other = Truth(**{**truth.__dict__, "landmarks": mirrored, "scores": truth.scores[topology.MIRROR_BLENDSHAPES]})
    (plain, place), (swapped, other_place) = solve(engine, truth), solve(engine, other)
    names = [other_side(name) for name in head.expression_names]
    order = [head.expression_names.index(name) for name in names]
    assert np.abs(plain.expression[0] - swapped.expression[0, order]).max() < 0.05
    assert np.abs(plain.eyelids[0] - swapped.eyelids[0, ::-1]).max() < 0.05
    assert np.abs(plain.head_rotation[0] * [1, -1, -1] - swapped.head_rotation[0]).max() < 0.01
    assert np.abs(place[0] * [-1, 1, 1] - other_place[0]).max() < 0.01
    assert np.abs(plain.eyes[0].reshape(2, 3)[::-1] * [1, -1, -1] - swapped.eyes[0].reshape(2, 3)).max() < 0.02


def test_a_batch_is_its_faces_one_by_one(head, engine, model):
    truths = [make_truth(head, model, seed, noise=0.01) for seed in (1, 2, 5)]
    together = engine.estimate(np.stack([t.landmarks for t in truths]), np.stack([t.scores for t in truths]))
    for row, truth in enumerate(truths):
        alone = engine.estimate(truth.landmarks[None], truth.scores[None])
        assert np.abs(alone.expression[0] - together.expression[row]).max() < 5e-3
        assert np.abs(alone.crop_camera[0] - together.crop_camera[row]).max() < 5e-2


def test_units_stay_within_their_range_whatever_is_seen(head, engine):
    random = np.random.default_rng(0)
    landmarks = random.uniform(100, 900, (2, 478, 3))
    params = engine.estimate(landmarks, random.uniform(0, 1, (2, 52)))
    for values in (params.expression, params.eyelids):
        assert values.min() >= 0 and values.max() <= 1
    for name in ("identity", "head_rotation", "crop_camera", "eyes"):
        assert np.isfinite(getattr(params, name)).all()


def test_a_head_without_arkit_units_is_refused():
    with pytest.raises(MienError) as caught:
        LandmarkFit(small_head())
    assert caught.value.code is ErrorCode.BAD_HEAD


def test_where_in_the_picture_a_face_is_seen_does_not_change_it(head, engine, model):
    """A camera turned about its own centre sees the same face at the border of the picture, stretched."""
    truth = make_truth(head, model, 4)
    plain, place = solve(engine, truth)
    for angles in ([0, 30, 0], [-25, -20, 0]):
        turn = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
        landmarks = truth.landmarks.copy()
        rays = np.concatenate([landmarks[:, :2], np.ones((478, 1))], axis=1) @ (MATRIX @ turn @ np.linalg.inv(MATRIX)).T
        landmarks[:, :2] = rays[:, :2] / rays[:, 2:]
        landmarks[:, 2] /= rays[:, 2].mean()
        params, translation = solve(engine, Truth(**{**truth.__dict__, "landmarks": landmarks}))
        head_turn = HEAD_TO_CAMERA @ turn @ HEAD_TO_CAMERA @ Rotation.from_rotvec(plain.head_rotation[0]).as_matrix()
        off = Rotation.from_matrix(head_turn) * Rotation.from_rotvec(params.head_rotation[0]).inv()
        assert np.degrees(off.magnitude()) < 1.5
        assert np.abs(params.expression - plain.expression).max() < 0.06
        assert np.abs(params.eyes - plain.eyes).max() < np.radians(1)
        assert np.linalg.norm(translation[0]) == pytest.approx(np.linalg.norm(place[0]), rel=0.15)
