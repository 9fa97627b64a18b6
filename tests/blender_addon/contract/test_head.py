# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib

import numpy as np
import pytest

from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import load_arrays, save_arrays
from blender_addon.contract.head import JOINT_NAMES, PARENTS, HeadDescription, Landmarks
from tests.fake_takes import same_arrays, small_head


def test_round_trip(tmp_path):
    head = small_head()
    head.save(tmp_path / "head.npz")
    loaded = HeadDescription.load(tmp_path / "head.npz")
    assert same_arrays(head, loaded)
    assert loaded.materials == ("skin", "iris")


def test_a_head_without_source_takes_the_hash_of_its_file(tmp_path):
    small_head(sha256="").save(tmp_path / "head.npz")
    digest = hashlib.sha256((tmp_path / "head.npz").read_bytes()).hexdigest()
    assert HeadDescription.load(tmp_path / "head.npz").sha256 == digest


def test_fans_follow_the_polygons():
    head = small_head()
    assert head.faces.tolist() == [[0, 1, 2], [0, 2, 3], [0, 4, 5]]
    assert head.uv_faces.tolist() == [[5, 4, 3], [5, 3, 2], [1, 0, 5]]
    assert head.face_polygon.tolist() == [0, 0, 1]
    assert head.faces.dtype == np.int32


def test_floats_are_narrowed_and_others_refused():
    assert small_head(template=np.zeros((6, 3))).template.dtype == np.float32
    with pytest.raises(MienError, match="template"):
        small_head(template=np.zeros((6, 3), complex))
    with pytest.raises(MienError, match="polygons"):
        small_head(polygons=np.zeros((2, 4)))


@pytest.mark.parametrize(
    "changes",
    [
        {"template": np.zeros((5, 3))},
        {"identity": np.zeros((6, 4))},
        {"eyelids": np.zeros((6, 3, 1))},
        {"pose_correctives": np.zeros((36, 17))},
        {"joint_regressor": np.zeros((4, 6))},
        {"skinning": np.zeros((6, 5))},
        {"polygons": np.array([[0, 1, 2, 6], [0, 4, 5, -1]])},
        {"polygons": np.array([[0, 1, -1, 3], [0, 4, 5, -1]])},
        {"polygons": np.array([[0, 1, 2, -1], [0, 4, 5, -1]])},
        {"polygon_uvs": np.array([[5, 4, 3, 2], [1, 0, 6, -1]])},
        {"polygon_material": np.array([0, 2], np.uint8)},
        {"materials": ("skin", "wood")},
        {"materials": ("skin", "skin")},
        {"expression_names": ("one",)},
        {"commercial_use": "maybe"},
        {"joints_follow_expression": 1},
        {"sha256": "abc"},
        {"id": ""},
        {"template": np.full((6, 3), np.nan)},
        {"landmarks": {"ibug68": Landmarks(np.array([3]), np.array([[1.0, 0, 0]]))}},
        {"landmarks": {"ibug68": None}},
    ],
    ids=str,
)
def test_bad_heads_are_refused(changes):
    with pytest.raises(MienError) as caught:
        small_head(**changes)
    assert caught.value.code is ErrorCode.BAD_HEAD


def test_landmark_weights_sum_to_one():
    with pytest.raises(MienError):
        Landmarks(np.array([0]), np.array([[0.5, 0.0, 0.0]]))


@pytest.mark.parametrize(
    ("edit", "code"),
    [
        (lambda meta, arrays: meta.update(format=99), ErrorCode.UNKNOWN_SCHEMA),
        (lambda meta, arrays: meta.pop("licence"), ErrorCode.BAD_HEAD),
        (lambda meta, arrays: meta.update(more=1), ErrorCode.BAD_HEAD),
        (lambda meta, arrays: meta.update(landmarks=3), ErrorCode.BAD_HEAD),
        (lambda meta, arrays: meta.update(materials="skin"), ErrorCode.BAD_HEAD),
        (lambda meta, arrays: arrays.pop("uv"), ErrorCode.BAD_HEAD),
        (lambda meta, arrays: arrays.update(more=np.zeros(1)), ErrorCode.BAD_HEAD),
    ],
)
def test_bad_files_are_refused(tmp_path, edit, code):
    path = tmp_path / "head.npz"
    small_head().save(path)
    meta, arrays = load_arrays(path)
    edit(meta, arrays)
    save_arrays(path, meta, arrays)
    with pytest.raises(MienError) as caught:
        HeadDescription.load(path)
    assert caught.value.code is code


def test_every_parent_comes_before_its_child():
    assert len(PARENTS) == len(JOINT_NAMES)
    assert all(parent < joint for joint, parent in enumerate(PARENTS))
