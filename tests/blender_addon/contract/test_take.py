# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os

import numpy as np
import pytest

from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import load_arrays, save_arrays
from blender_addon.contract.take import Take
from tests.fake_takes import same_arrays, small_head, small_meta, small_take


@pytest.mark.parametrize("frames", [1, 7])
def test_round_trip(tmp_path, frames):
    take = small_take(
        frames=frames, extra={"detail_code": np.zeros((frames, 128)), "emotion_logits": np.ones((frames, 8))}
    )
    take.save(tmp_path / "a.npz")
    loaded = Take.load(tmp_path / "a.npz")
    assert same_arrays(take, loaded)
    assert loaded.meta == take.meta
    assert len(loaded) == frames


def test_the_right_head_is_accepted_and_a_wrong_one_named():
    take = small_take()
    take.require_head(small_head())
    with pytest.raises(MienError) as caught:
        take.require_head(small_head(id="flame2020", sha256="b" * 64))
    assert caught.value.code is ErrorCode.WRONG_HEAD
    assert "'open'" in caught.value.message and "'flame2020'" in caught.value.message
    assert "mien convert" in caught.value.remedy


def test_more_coefficients_than_the_head_has_are_refused():
    with pytest.raises(MienError) as caught:
        small_take(identity=np.zeros(9)).require_head(small_head())
    assert caught.value.code is ErrorCode.WRONG_HEAD


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"jaw": np.zeros((2, 3))}, "shape"),
        ({"jaw": np.zeros(3)}, "shape"),
        ({"identity": np.zeros((1, 4))}, "shape"),
        ({"eyes": np.zeros((1, 5))}, "shape"),
        ({"camera_matrix": np.zeros((3, 4))}, "shape"),
        ({"jaw": np.full((1, 3), np.inf)}, "finite"),
        ({"jaw": np.full((1, 3), 1e300)}, "finite"),
        ({"valid": np.zeros(1)}, "dtype"),
        ({"image_size": np.array([1.5, 2])}, "dtype"),
        ({"image_size": np.array([1 << 40, 2])}, "range"),
        ({"image_size": np.array([0, 2])}, "content"),
        ({"expression": np.zeros((1, 2))}, "content"),
        ({"extra": {"raw_hair": np.zeros(1)}}, "unknown"),
        ({"extra": {"more": np.zeros(1)}}, "unknown"),
        ({"extra": {"raw_jaw": np.zeros((2, 3))}}, "shape"),
        ({"extra": {"emotion_x": np.zeros(2)}}, "shape"),
        ({"extra": {"detail_code": np.array([None])}}, "dtype"),
        ({"meta": small_meta(displacement=("a", "b"))}, "content"),
    ],
    ids=str,
)
def test_wrong_arrays_each_have_their_cause(changes, cause):
    with pytest.raises(MienError) as caught:
        small_take(**changes)
    assert caught.value.code is ErrorCode.BAD_TAKE
    assert caught.value.details["cause"] == cause


def test_times_may_not_run_backwards():
    small_take(frames=3, time=np.array([0.0, 0.0, 1.0]))
    with pytest.raises(MienError, match="backwards"):
        small_take(frames=3, time=np.array([0.0, 1.0, 0.5]))


def test_a_take_has_frames():
    with pytest.raises(MienError, match="no frames"):
        small_take(frames=0)


@pytest.mark.parametrize(
    "changes",
    [
        {"person": 0},
        {"person": True},
        {"person": 1.0},
        {"licences": "MIT"},
        {"licences": (1,)},
        {"versions": {"a": 1}},
        {"commercial_use": "perhaps"},
        {"source": None},
    ],
    ids=str,
)
def test_bad_descriptions_are_refused(changes):
    with pytest.raises(MienError) as caught:
        small_meta(**changes)
    assert caught.value.code is ErrorCode.BAD_TAKE


def _edit_meta(**changes):
    return lambda path, meta, arrays: save_arrays(path, meta | changes, arrays)


def _without(name):
    return lambda path, meta, arrays: save_arrays(path, meta, {key: arrays[key] for key in arrays if key != name})


def _with_pickle(path, meta, arrays):
    np.savez(path, meta=np.array("{}"), **{**arrays, "jaw": np.array([{"a": 1}], dtype=object)})


def _cut(path, meta, arrays):
    path.write_bytes(path.read_bytes()[:-100])


BROKEN = {
    "pickle": (_with_pickle, ErrorCode.BAD_TAKE, "pickle"),
    "truncated": (_cut, ErrorCode.BAD_TAKE, "truncated"),
    "not a zip": (lambda path, meta, arrays: path.write_bytes(b"hello"), ErrorCode.BAD_TAKE, "not_npz"),
    "newer schema": (_edit_meta(schema=3, novelty=1), ErrorCode.UNKNOWN_SCHEMA, None),
    "schema no number": (_edit_meta(schema=True), ErrorCode.UNKNOWN_SCHEMA, None),
    "unknown entry": (_edit_meta(novelty=1), ErrorCode.BAD_TAKE, "meta"),
    "missing array": (_without("jaw"), ErrorCode.BAD_TAKE, "missing"),
    "wrong shape": (
        lambda path, meta, arrays: save_arrays(path, meta, arrays | {"jaw": np.zeros((1, 4))}),
        ErrorCode.BAD_TAKE,
        "shape",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_files_each_have_their_error(tmp_path, kind):
    path = tmp_path / "take.npz"
    small_take().save(path)
    edit, code, cause = BROKEN[kind]
    edit(path, *load_arrays(path))
    with pytest.raises(MienError) as caught:
        Take.load(path)
    assert caught.value.code is code
    assert caught.value.details.get("cause") == cause
    assert "take.npz" in caught.value.message
    assert caught.value.remedy


def test_an_interrupted_save_keeps_the_old_take(tmp_path, monkeypatch):
    path = tmp_path / "take.npz"
    small_take(1).save(path)
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(MienError) as caught:
        small_take(2).save(path)
    monkeypatch.undo()
    assert caught.value.code is ErrorCode.NO_SPACE
    assert Take.load(path).meta.person == 1
    assert os.listdir(tmp_path) == ["take.npz"]
