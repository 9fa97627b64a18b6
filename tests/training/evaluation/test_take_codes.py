# SPDX-License-Identifier: GPL-3.0-or-later
"""Codes of takes: stills and clips, of the open head and of FLAME, joined with labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backend.heads.flame import load_flame
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.head import HeadDescription
from tests.arkit_takes import arkit_take
from tests.fabricated_codes import write_labels
from tests.fake_flame import flame_take, write_flame
from training.evaluation.labels import LabelFile
from training.evaluation.take_codes import take_table


@pytest.fixture(scope="module")
def flame(module_path: Path) -> HeadDescription:
    return load_flame(write_flame(module_path / "generic_model.npz"))


def still(folder: Path, name: str, seed: int, **changes: object) -> Path:
    path = folder / f"{name}.take.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    arkit_take(1, seed=seed, source=f"/pictures/{name}.jpg", valid=np.ones(1, bool), **changes).save(path)
    return path


def emoca_take(head: HeadDescription, seed: int, frames: int = 1, person: int = 1, source: str = "a.jpg", **changes):
    take = flame_take(head, frames, seed=seed, valid=np.ones(frames, bool))
    meta = replace(take.meta, engine="emoca", person=person, source=source)
    identity, expression = take.identity.copy(), take.expression.copy()
    identity[100:], expression[:, 50:] = 0, 0
    detail = np.random.default_rng(seed).normal(size=(frames, 128)).astype(np.float32)
    values = {"meta": meta, "identity": identity, "expression": expression, "extra": {"detail_code": detail}}
    return replace(take, **(values | changes))


def labelled(path: Path, *files: str, **more: object) -> LabelFile:
    rows = [{"file": file, "label": number % 8, "valence": 0.1 * number, "arousal": 0} | more
            for number, file in enumerate(files)]  # fmt: skip
    return LabelFile(write_labels(path / "labels.csv", rows))


def test_stills_of_a_folder(tmp_path: Path) -> None:
    takes = tmp_path / "takes"
    paths = [still(takes / "sub", name, seed) for seed, name in enumerate("abc")]
    damaged = takes / "d.take.npz"
    damaged.write_bytes(paths[0].read_bytes()[:500])
    table = take_table(takes, labelled(tmp_path, "b.jpg", "a.jpg", "d.jpg"))
    assert table.names.tolist() == ["a.jpg", "b.jpg"] and table.method == "fit"
    assert table.labels.label.tolist() == [1, 0]
    assert {(each.reason, each.count) for each in table.left_out} == {("without a label", 1), ("damaged", 1)}
    take = arkit_take(1, seed=1)
    np.testing.assert_array_equal(table.inputs(("identity",))[1], take.identity)
    np.testing.assert_array_equal(table.inputs(("expression",))[1], take.expression[0])
    np.testing.assert_array_equal(table.inputs(("jaw",))[1], take.jaw[0])


def test_a_clip_gives_its_labelled_frames_unsmoothed(tmp_path: Path) -> None:
    take = arkit_take(10)  # frame 6 has no face
    raw = take.expression + np.float32(0.01)
    take = replace(take, extra=dict(take.extra) | {"raw_expression": raw})
    path = tmp_path / "clip.take.npz"
    take.save(path)
    rows = [{"file": "clip.mp4", "frame": n, "label": 0, "valence": 0, "arousal": 0} for n in (1, 2, 6, 9)]
    labels = LabelFile(write_labels(tmp_path / "labels.csv", rows))
    table = take_table(path, labels)
    assert table.names.tolist() == ["clip.mp4#1", "clip.mp4#2", "clip.mp4#9"]
    assert set(table.labels.subject) == {"clip"}
    np.testing.assert_array_equal(table.inputs(("expression",)), raw[[0, 1, 8]])
    smoothed = take_table(path, labels, smoothed=True)
    np.testing.assert_array_equal(smoothed.inputs(("expression",)), take.expression[[0, 1, 8]])
    assert {(each.reason, each.count) for each in table.left_out} == {
        ("frames without a face", 1), ("without a label", 6)
    }  # fmt: skip


def test_published_engines_give_what_their_networks_say(tmp_path: Path, flame: HeadDescription) -> None:
    """100 identity, 50 expression and 3 jaw numbers of FLAME's 300, 100 and 3: the published network's 153."""
    for seed, name in enumerate("ab"):
        emoca_take(flame, seed, source=f"{name}.jpg").save(tmp_path / f"{name}.take.npz")
    emoca_take(flame, 5, person=2, source="a.jpg").save(tmp_path / "a.face2.take.npz")
    table = take_table(tmp_path, labelled(tmp_path, "a.jpg", "b.jpg"))
    assert table.inputs(table.resolved(["coarse"])).shape == (2, 153)
    assert table.inputs(table.resolved(["coarse", "detail"])).shape == (2, 281)
    assert [str(each).split(" (")[0] for each in table.left_out] == ["1 of other people in the same source"]
    broad = emoca_take(flame, 0, identity=np.ones(300, np.float32))
    broad.save(tmp_path / "a.take.npz")
    with pytest.raises(MienError, match="an identity of other numbers than the 100 that emoca gives"):
        take_table(tmp_path, labelled(tmp_path, "a.jpg", "b.jpg"))


def test_details_that_some_takes_lack_are_not_used(tmp_path: Path, flame: HeadDescription) -> None:
    emoca_take(flame, 0, source="a.jpg").save(tmp_path / "a.take.npz")
    emoca_take(flame, 1, source="b.jpg", extra={}).save(tmp_path / "b.take.npz")
    table = take_table(tmp_path, labelled(tmp_path, "a.jpg", "b.jpg"))
    assert "detail" not in table.widths
    assert table.left_out[0].reason.startswith("takes without a detail code") and table.left_out[0].count == 1


def test_what_cannot_be_one_table(tmp_path: Path, flame: HeadDescription) -> None:
    still(tmp_path / "takes", "b", 0)
    emoca_take(flame, 0, source="a.jpg").save(tmp_path / "takes" / "a.take.npz")
    with pytest.raises(MienError, match="of another engine or head") as caught:
        take_table(tmp_path / "takes", labelled(tmp_path, "a.jpg", "b.jpg"))
    assert caught.value.code is ErrorCode.WRONG_HEAD
    with pytest.raises(MienError, match="no label for any of the takes in"):
        take_table(tmp_path / "takes", labelled(tmp_path, "x.jpg"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(MienError, match="holds no takes"):
        take_table(tmp_path / "empty", labelled(tmp_path, "a.jpg"))
    (tmp_path / "empty" / "a.take.npz").write_bytes(b"nothing")
    with pytest.raises(MienError, match="holds no take that can be read"):
        take_table(tmp_path / "empty", labelled(tmp_path, "a.jpg"))
