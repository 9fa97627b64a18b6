# SPDX-License-Identifier: GPL-3.0-or-later
"""The landmark embedding of the open head, and making one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backend.faces import topology
from backend.faces.landmarker import FaceFinder
from backend.heads import load_head
from backend.heads.embedding import _look_up, landmark_embedding, snap, surface_points
from backend.heads.model import HeadModel
from backend.progress import no_progress
from backend.rendering.plain import plain_view
from backend.weights.landmarker import landmarker_file
from blender_addon.contract.projection import camera_matrix, project

NAME = "mediapipe478"


@pytest.fixture(scope="module")
def head():
    return load_head("open")


@pytest.fixture(scope="module")
def points(head):
    return surface_points(head, head.landmarks[NAME])


def materials_at(head, landmarks) -> np.ndarray:
    return np.array(head.materials)[head.polygon_material[head.face_polygon[landmarks.faces]]]


def test_the_open_head_has_both_embeddings(head):
    assert len(head.landmarks[NAME].faces) == 478
    assert len(head.landmarks["ibug68"].faces) == 68
    picked = surface_points(head, head.landmarks[NAME])[topology.IBUG68_FROM_478]
    assert np.allclose(picked, surface_points(head, head.landmarks["ibug68"]))


def test_it_is_mirror_symmetric(points):
    assert np.abs(points - points[topology.MIRROR_478] * [-1, 1, 1]).max() < 2e-4


def test_irises_lie_on_the_eyes_and_all_else_on_skin_and_lips(head):
    on = materials_at(head, head.landmarks[NAME])
    iris = np.isin(np.arange(478), topology.IRISES)
    assert set(on[iris]) <= {"sclera", "iris", "pupil"}
    assert set(on[~iris]) <= {"skin", "lips"}


def test_landmarks_lie_where_their_names_say(points):
    left_eye, right_eye = points[topology.LEFT_IRIS_CENTRE], points[topology.RIGHT_IRIS_CENTRE]
    nose, chin, forehead = points[1], points[152], points[10]
    assert left_eye[0] > 0.025 > -0.025 > right_eye[0]
    assert nose[2] == pytest.approx(points[:, 2].max(), abs=1e-3)
    assert chin[1] < nose[1] < left_eye[1] < forehead[1]
    upper, lower = points[13], points[14]
    assert 0 < upper[1] - lower[1] < 0.004  # the mouth of the template is closed


def test_snapping_an_embedding_onto_its_own_head_changes_nothing(head, points):
    again = surface_points(head, snap(head, points))
    assert np.abs(again - points).max() < 1e-5


def of_one_material(head):
    """The head as a file without materials would give it; its colours stay."""
    return replace(head, materials=("skin",), polygon_material=np.zeros_like(head.polygon_material))


def test_without_eye_materials_irises_are_looked_up_on_the_skin(head, points):
    bare = of_one_material(head)
    posed = HeadModel(bare)().vertices[0].numpy()
    matrix, place = camera_matrix(1500.0, 512, 512), np.array([0.0, 0.0, 1.2])
    picture = plain_view(posed, bare, place, matrix, (512, 512))
    found = _look_up(bare, picture, project(points, place, matrix))
    iris = list(topology.IRISES)
    assert np.linalg.norm(found[iris] - points[iris], axis=1).max() < 2e-3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "symmetry"), [(lambda head: head, 2e-4), (of_one_material, 1e-3)], ids=["materials", "one material"]
)
def test_an_embedding_from_few_renders_is_near_the_calibrated_one(head, points, change, symmetry):
    finder = FaceFinder(landmarker_file(no_progress), threads=1)
    try:
        made = surface_points(head, landmark_embedding(change(head), finder, views=16, seed=7))
    finally:
        finder.close()
    assert np.median(np.linalg.norm(made - points, axis=1)) < 3e-3
    assert np.abs(made - made[topology.MIRROR_478] * [-1, 1, 1]).max() < symmetry


def test_the_lower_lip_goes_with_the_jaw_and_the_upper_one_does_not():
    head = load_head("open")
    marks = head.landmarks["mediapipe478"]
    with_jaw = (head.skinning[head.faces[marks.faces], 2] * marks.barycentric).sum(axis=1)
    lower = [number for number in topology.LIPS_INNER if number in set(topology.LOWER_LIP_INNER)]
    upper = [number for number in topology.LIPS_INNER if number not in {*lower, 78, 308}]
    assert len(lower) == len(upper) == 9
    assert with_jaw[lower].min() > 0.4
    assert with_jaw[upper].max() < 0.3
