# SPDX-License-Identifier: GPL-3.0-or-later
"""The landmark fit on synthetic heads with known truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from backend.engines.fit.evidence import JAW_OPEN, depth_bias
from backend.engines.fit.fit import LandmarkFit
from backend.faces import topology
from backend.heads import load_head
from backend.heads.model import HeadModel
from backend.solve.camera import camera_matrix
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.projection import project
from tests.fake_heads import small_head
from tests.synthetic import similarity_aligned

SIZE = 1024
MATRIX = camera_matrix(1422.0, SIZE, SIZE)


@dataclass(frozen=True)
class Truth:
    """A random head before the camera, and what a perfect detector would say of it."""

    vertices: np.ndarray
    expression: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray
    eyes: np.ndarray
    landmarks: np.ndarray
    scores: np.ndarray


@pytest.fixture(scope="module")
def head():
    return load_head("open")


@pytest.fixture(scope="module")
def engine(head):
    return LandmarkFit(head)


@pytest.fixture(scope="module")
def model(head):
    return HeadModel(head)


def make_truth(head, model, seed: int, noise: float = 0.0) -> Truth:
    random = np.random.default_rng(seed)
    identity = random.normal(size=head.identity.shape[-1])
    expression = np.zeros(len(head.expression_names))
    scored = [i for i, name in enumerate(head.expression_names) if name in topology.BLENDSHAPE_NAMES]
    expression[random.choice(scored, 6, replace=False)] = random.uniform(0, 0.7, 6)
    jaw, lids = random.uniform(0, 0.2), random.uniform(0, 0.3, 2)
    rotation = np.radians(random.uniform([-8, -10, -5], [8, 10, 5]))
    gaze = np.radians([random.uniform(-10, 10), random.uniform(-15, 15), 0])
    translation = np.array([0.01, 0.02, 1.1])

    def batch(values) -> torch.Tensor:
        return torch.as_tensor(np.asarray(values)[None], dtype=torch.float32)

    vertices = model(
        identity=batch(identity),
        expression=batch(expression),
        head_rotation=batch(rotation),
        jaw=batch([jaw, 0, 0]),
        eyes=batch([*gaze, *gaze]),
        eyelids=batch(lids),
    ).vertices
    points = model.landmarks(vertices, "mediapipe478")[0].double().numpy()
    pixels = project(points, translation, MATRIX)
    nearer = depth_bias() * Rotation.from_rotvec(rotation).as_matrix()[2, 2]
    depth = -(points[:, 2] + nearer) * MATRIX[0, 0] / translation[2]
    eye_distance = np.linalg.norm(np.subtract(*pixels[list(topology.OUTER_EYE_CORNERS)]))
    seen = np.concatenate([pixels, depth[:, None]], axis=1)
    seen += random.normal(size=seen.shape) * noise * eye_distance
    scores = dict.fromkeys(topology.BLENDSHAPE_NAMES, 0.0)
    scores |= {name: value for name, value in zip(head.expression_names, expression, strict=True) if name in scores}
    scores |= {"jawOpen": jaw / JAW_OPEN, "eyeBlinkLeft": lids[0], "eyeBlinkRight": lids[1]}
    values = np.array(list(scores.values()), np.float32)
    return Truth(vertices[0].numpy(), expression, rotation, translation, gaze, seen, values)


def solve(engine, truth: Truth):
    landmarks, scores = truth.landmarks[None], truth.scores[None]
    return engine.refine(engine.estimate(landmarks, scores), landmarks, scores, MATRIX)


def fitted_vertices(model, params) -> np.ndarray:
    names = ("identity", "expression", "head_rotation", "jaw", "eyes", "eyelids")
    tensors = {name: torch.as_tensor(getattr(params, name), dtype=torch.float32) for name in names}
    return model(**tensors).vertices.numpy()


def test_noisy_landmarks_of_one_view_give_the_surface_back(head, engine, model):
    skin = np.unique(head.faces[head.polygon_material[head.face_polygon] == head.materials.index("skin")])
    front = skin[(head.template[skin, 2] > 0.02) & (head.template[skin, 1] > -0.11)]
    errors = []
    for seed in range(12):
        truth = make_truth(head, model, seed, noise=0.01)
        params, _ = solve(engine, truth)
        fitted = fitted_vertices(model, params)[0]
        aligned = similarity_aligned(fitted[front], truth.vertices[front])
        errors.append(np.median(np.linalg.norm(aligned - truth.vertices[front], axis=1)))
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
    names = [_other_side(name) for name in head.expression_names]
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


def _other_side(name: str) -> str:
    if name.endswith("Left"):
        return name.removesuffix("Left") + "Right"
    return name.removesuffix("Right") + "Left" if name.endswith("Right") else name
