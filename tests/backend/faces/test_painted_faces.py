# SPDX-License-Identifier: GPL-3.0-or-later
"""The heads of synthetic clips look human enough to the detector to measure captures with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from backend.faces import topology
from backend.faces.landmarker import FaceFinder
from backend.heads import load_head
from backend.heads.model import HeadModel
from blender_addon.contract.projection import camera_matrix, focal_pixels, project
from tests.motion import Motion, make_motion, picked
from tests.synthetic_clip import posed, render_clip

SIZE = (360, 480)
MATRIX = camera_matrix(focal_pixels(60, SIZE[1], SIZE[0]), SIZE[1], SIZE[0])
SEEDS = (0, 1, 3)


@pytest.fixture(scope="module")
def head_model() -> HeadModel:
    return HeadModel(load_head("open"))


def at_rest(model: HeadModel, seed: int, units: dict[str, float] | None = None, **changes: np.ndarray) -> Motion:
    motion = picked(make_motion(model.head, seed, 1.0, gestures=("still",)), [0], 30.0)
    expression = motion.expression.copy()
    for name, amount in (units or {}).items():
        expression[:, model.head.expression_names.index(name)] = amount
    return replace(motion, expression=expression, **changes)


def seen(finder: FaceFinder, model: HeadModel, motion: Motion, seed: int):
    (picture,) = render_clip(model.head, model, motion, SIZE, MATRIX, seed)
    (face,) = finder.find(picture)
    return face


@pytest.fixture(scope="module")
def resting_scores(finder: FaceFinder, head_model: HeadModel) -> dict[int, np.ndarray]:
    return {seed: seen(finder, head_model, at_rest(head_model, seed), seed).blendshapes for seed in SEEDS}


@pytest.mark.parametrize("seed", SEEDS)
def test_landmarks_are_found_where_the_truth_has_them(finder: FaceFinder, head_model: HeadModel, seed: int) -> None:
    motion = at_rest(head_model, seed, head_rotation=np.radians([[4.0, 12.0, -5.0]]))
    found = seen(finder, head_model, motion, seed).landmarks[:, :2]
    points = head_model.landmarks(posed(head_model, motion, 0)[None], "mediapipe478")[0].double().numpy()
    truth = project(points, motion.translation[0], MATRIX)
    eyes = np.linalg.norm(np.subtract(*truth[list(topology.OUTER_EYE_CORNERS)]))
    error = np.linalg.norm(found - truth, axis=1) / eyes
    assert error.mean() < 0.03
    for part in (topology.LIDS, topology.LIPS, topology.BROWS, topology.IRISES):
        assert error[list(part)].mean() < 0.025


@pytest.mark.parametrize("seed", SEEDS)
def test_the_true_shape_fits_the_landmarks_in_the_true_pose(
    finder: FaceFinder, head_model: HeadModel, seed: int
) -> None:
    motion = at_rest(head_model, seed, head_rotation=np.radians([[4.0, 10.0, -5.0]]))
    found = seen(finder, head_model, motion, seed).landmarks[:, :2]
    shape = head_model.landmarks(posed(head_model, motion, 0)[None], "mediapipe478")[0].double().numpy()
    face = np.setdiff1d(np.arange(len(shape)), list(topology.IRISES))

    def residuals(pose: np.ndarray) -> np.ndarray:
        turned = Rotation.from_rotvec(pose[:3]).apply(shape[face])
        return (project(turned, pose[3:], MATRIX) - found[face]).ravel()

    start = np.concatenate([np.zeros(3), motion.translation[0]])
    pose = least_squares(residuals, start, loss="huber", f_scale=1.5).x
    assert np.degrees(np.linalg.norm(pose[:3])) < 2.5
    assert np.linalg.norm(pose[3:] - motion.translation[0]) < 0.02 * motion.translation[0, 2]


@pytest.mark.parametrize(
    ("units", "others", "score", "least"),
    [
        ({"mouthSmileLeft": 0.9, "mouthSmileRight": 0.9}, {}, "mouthSmileLeft", 0.5),
        ({"mouthPucker": 0.9}, {}, "mouthPucker", 0.3),
        ({"browInnerUp": 0.9, "browOuterUpLeft": 0.9, "browOuterUpRight": 0.9}, {}, "browInnerUp", 0.15),
        ({}, {"jaw": np.array([[0.3, 0, 0]])}, "jawOpen", 0.4),
        ({}, {"eyelids": np.ones((1, 2))}, "eyeBlinkLeft", 0.5),
        ({}, {"eyes": np.radians([[0, 18.0, 0] * 2])}, "eyeLookOutLeft", 0.3),
    ],
)
def test_gestures_raise_their_scores(
    finder: FaceFinder,
    head_model: HeadModel,
    resting_scores: dict[int, np.ndarray],
    units: dict[str, float],
    others: dict[str, np.ndarray],
    score: str,
    least: float,
) -> None:
    number, gains = topology.BLENDSHAPE_NAMES.index(score), []
    for seed in SEEDS:
        moved = seen(finder, head_model, at_rest(head_model, seed, units, **others), seed)
        gains.append(moved.blendshapes[number] - resting_scores[seed][number])
    assert np.mean(gains) > least
    assert min(gains) > 0
