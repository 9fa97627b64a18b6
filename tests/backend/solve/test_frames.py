# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames solved with the identity and the camera of their shot."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from backend.engines.fit.fit import LandmarkFit
from backend.engines.params import FaceParams
from backend.faces import topology
from backend.heads import load_head
from backend.heads.model import HeadModel
from backend.solve.camera import Focal
from backend.solve.frames import BATCH, FrameSolver, FramesSolution, solve_frames
from backend.solve.shot import Shot, Views, solve_shot
from blender_addon.contract.projection import focal_pixels, project, weak_project
from tests.synthetic import CLIP, PersonTruth, fitted_vertices, make_person

FRAMES = BATCH + 9


@pytest.fixture(scope="module")
def head():
    return load_head("open")


@pytest.fixture(scope="module")
def engine(head):
    return LandmarkFit(head)


@pytest.fixture(scope="module")
def model(head):
    return HeadModel(head)


def shot_of(person: PersonTruth, identity: np.ndarray | None = None) -> Shot:
    """A shot with the person's own identity."""
    known = np.concatenate([person.identity[:100], np.zeros(len(person.identity) - 100)])
    focal = Focal(focal_pixels(person.focal_mm, *CLIP), "given")
    return Shot(known if identity is None else identity, (focal,), CLIP, (np.zeros(1),))


@pytest.fixture(scope="module")
def person(head, model):
    return make_person(head, model, 11, FRAMES)


@pytest.fixture(scope="module")
def solution(engine, person):
    return FrameSolver(engine, shot_of(person)).solve(person.landmarks, person.scores)


def turned_off(solution: FramesSolution, person: PersonTruth) -> np.ndarray:
    """(N,) degrees between solved and true head rotations."""
    mine, truth = (Rotation.from_rotvec(values) for values in (solution.params.head_rotation, person.rotation))
    return np.degrees((mine * truth.inv()).magnitude())


def same(first: FaceParams, second: FaceParams) -> bool:
    return all(np.array_equal(value, getattr(second, name)) for name, value in vars(first).items())


def test_pose_place_and_expression_come_back(person, solution):
    assert np.median(turned_off(solution, person)) < 0.5
    assert turned_off(solution, person).max() < 1.5
    off = np.linalg.norm(solution.translation - person.translation, axis=1) / person.translation[:, 2]
    assert np.median(off) < 0.01
    scored = person.expression.std(axis=0) > 0.05
    assert np.corrcoef(solution.params.expression[:, scored].ravel(), person.expression[:, scored].ravel())[0, 1] > 0.9
    assert np.array_equal(solution.params.identity[3], shot_of(person).identity)
    assert np.degrees(np.median(np.abs(solution.params.eyes))) < 2  # they look straight ahead


def test_both_passes_together_place_the_head(head, engine, model):
    """Size and distance are told apart by the prior alone; the motion is right for all that."""
    turns, steps = [], []
    for seed in range(8):
        person = make_person(head, model, seed, 16, noise=0.005)
        focal = Focal(focal_pixels(50.0, *CLIP), "given")
        shot = solve_shot(engine, [Views(person.landmarks, person.scores, CLIP, focal)])
        solution = solve_frames(engine, shot, person.landmarks, person.scores)
        turns.append(turned_off(solution, person))
        scale = solution.translation[:, 2].mean() / person.translation[:, 2].mean()
        assert scale == pytest.approx(1, abs=0.08)
        off = np.linalg.norm(solution.translation / scale - person.translation, axis=1)
        steps.append(off / person.translation[:, 2])
    assert np.median(turns) < 1.0
    assert np.median(steps) < 0.01


def test_the_head_lies_on_the_landmarks(head, model, person, solution):
    points = landmarks(head, model, solution.params)
    pixels = np.stack(
        [project(*pair, person.matrix) for pair in zip(points, solution.translation, strict=True)]
    )
    still = np.setdiff1d(np.arange(478), list(topology.IRISES))
    distance = np.linalg.norm(pixels - person.landmarks[..., :2], axis=-1)[:, still].mean(axis=1)
    eyes = topology.outer_eye_distance(person.landmarks)
    assert np.allclose(distance / eyes, solution.landmark_error, rtol=1e-3)
    assert solution.landmark_error.max() < 0.016


def test_the_crop_camera_sees_the_head_where_the_camera_does(head, model, person, solution):
    points = landmarks(head, model, solution.params)
    for frame in (0, 9):
        params = solution.params
        weak = weak_project(points[frame], params.crop_camera[frame], params.crop_transform[frame])
        pixels = project(points[frame], solution.translation[frame], person.matrix)
        size = np.ptp(pixels, axis=0).mean()
        assert np.linalg.norm(weak.mean(axis=0) - pixels.mean(axis=0)) < 0.02 * size
        assert np.ptp(weak, axis=0).mean() == pytest.approx(size, rel=0.05)


def landmarks(head, model, params: FaceParams) -> np.ndarray:
    """(N,478,3) in head space, eyes turned."""
    marks = head.landmarks["mediapipe478"]
    return np.einsum("nk,bnkd->bnd", marks.barycentric, fitted_vertices(model, params)[:, head.faces[marks.faces]])


def test_the_same_frames_give_the_same_bits_wherever_a_run_went_on(engine, person, solution):
    """Batches begin where they begin in a whole run, and the last one is filled up."""
    solver = FrameSolver(engine, shot_of(person))
    rest = solver.solve(person.landmarks[BATCH:], person.scores[BATCH:])
    assert same(rest.params, solution.params[BATCH:])
    assert np.array_equal(rest.translation, solution.translation[BATCH:])
    begun = solver.solve(person.landmarks[: BATCH + 3], person.scores[: BATCH + 3])
    assert same(begun.params, solution.params[: BATCH + 3])


def test_no_frame_depends_on_another(engine, person, solution):
    """The order of a batch touches the last bits of sums alone."""
    order = np.random.default_rng(0).permutation(FRAMES)
    mixed = FrameSolver(engine, shot_of(person)).solve(person.landmarks[order], person.scores[order])
    alone = FrameSolver(engine, shot_of(person), batch=1).solve(person.landmarks[:4], person.scores[:4])
    assert np.abs(mixed.params.expression - solution.params.expression[order]).max() < 2e-3
    assert np.abs(mixed.translation - solution.translation[order]).max() < 5e-5
    assert np.abs(alone.params.expression - solution.params.expression[:4]).max() < 2e-3
    assert np.abs(alone.translation - solution.translation[:4]).max() < 5e-5


def test_a_spoilt_frame_says_so_and_spoils_no_other(engine, person, solution):
    spoilt = person.landmarks.copy()
    spoilt[5] = np.random.default_rng(0).uniform(200, 600, (478, 3))
    found = FrameSolver(engine, shot_of(person)).solve(spoilt, person.scores)
    assert found.landmark_error[5] > 0.1
    for values in vars(found.params).values():
        assert np.isfinite(values).all()
    others = np.arange(FRAMES) != 5
    assert np.abs(found.translation - solution.translation)[others].max() < 5e-5


def test_mirrored_frames_give_mirrored_motion(engine, person, model):
    """Of a symmetric head, the mean one."""
    shot = shot_of(person, np.zeros_like(person.identity))
    mirrored = person.landmarks[:4, topology.MIRROR_478].copy()
    mirrored[..., 0] = CLIP[0] - mirrored[..., 0]
    plain = solve_frames(engine, shot, person.landmarks[:4], person.scores[:4])
    other = solve_frames(engine, shot, mirrored, person.scores[:4, topology.MIRROR_BLENDSHAPES])
    assert np.abs(plain.translation * [-1, 1, 1] - other.translation).max() < 3e-3
    assert np.abs(plain.params.head_rotation * [1, -1, -1] - other.params.head_rotation).max() < 0.01
    assert np.abs(plain.params.eyelids - other.params.eyelids[:, ::-1]).max() < 0.05


def test_the_focal_length_sets_the_distance(engine, person):
    shots = [shot_of(replace(person, focal_mm=focal)) for focal in (35.0, 70.0)]
    near, far = (solve_frames(engine, shot, person.landmarks, person.scores) for shot in shots)
    assert np.median(far.translation[:, 2] / near.translation[:, 2]) == pytest.approx(2, rel=0.1)


def test_no_frames_are_no_frames(engine, person):
    none = FrameSolver(engine, shot_of(person)).solve(person.landmarks[:0], person.scores[:0])
    assert len(none.params) == len(none.translation) == len(none.landmark_error) == 0
