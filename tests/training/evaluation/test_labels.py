# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from blender_addon.contract.errors import ErrorCode, MienError
from tests.fabricated_codes import write_labels
from training.evaluation.labels import LabelFile, parts_of


def labels(tmp_path: Path, *rows: dict[str, object]) -> LabelFile:
    return LabelFile(write_labels(tmp_path / "labels.csv", rows))


def face(file: str, **more: object) -> dict[str, object]:
    return {"file": file, "label": "happy", "valence": 0.5, "arousal": "-0.25"} | more


def test_reads_classes_by_name_and_number_and_what_is_none(tmp_path: Path) -> None:
    read = labels(
        tmp_path, face("a.jpg", split="Training", subject="x"), face("b.jpg", label=7, split="val"),
        face("c.jpg", label="", valence="", arousal=""), face("d.jpg", label="Uncertain", valence=-2, arousal=-2),
        face("e.jpg", label=10, split="3"),
    ).labels  # fmt: skip
    assert read.label.tolist() == [1, 7, -1, -1, -1]
    np.testing.assert_array_equal(read.valence, np.float32([0.5, 0.5, np.nan, np.nan, 0.5]))
    assert read.split.tolist() == ["train", "validation", "", "", "3"]
    assert read.subject.tolist() == ["x", "b", "c", "d", "e"]
    assert read.any.tolist() == [True, True, False, False, True]


def test_files_are_found_by_the_end_of_their_path(tmp_path: Path) -> None:
    read = labels(tmp_path, face("1/a.jpg"), face("2/a.jpg"), face("b.v2.png"), face("deep/er/c.png"))
    assert read.find([parts_of("/data/1/a.png")]) == 0
    assert read.find([parts_of(r"D:\data\2\a.take.npz".removesuffix(".take.npz"))]) == 1
    assert read.find([parts_of("nothing.jpg"), parts_of("x/b.v2")]) == 2
    assert read.find([parts_of("er/c.jpg")]) == 3
    assert read.find([parts_of("other/c.jpg")]) is None
    with pytest.raises(MienError, match="several files that 'a' may be: 1/a and 2/a"):
        read.find([parts_of("a.jpg")])


def test_frames_of_clips(tmp_path: Path) -> None:
    read = labels(tmp_path, face("clip1", frame=1), face("clip1", frame=2), face("clip2.mp4", frame=1))
    assert read.find([("clip1",)], 2) == 1
    assert read.find([("somewhere", "clip2")], 1) == 2
    assert read.find([("clip1",)], 3) is None


def test_endings_are_letters_and_numbers_are_names() -> None:
    assert parts_of("a/img.001") == ("a", "img.001")
    assert parts_of("./a/img.001.jpeg") == ("a", "img.001")
    assert parts_of("/a/.hidden") == ("a", ".hidden")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (face("a.jpg", label="joyful"), "the label 'joyful'.* in line 3"),
        (face("a.jpg", label=11), "the label '11'"),
        (face("a.jpg", valence=7), "a valence of 7 in line 3.*divided by 10"),
        (face("a.jpg", valence="much"), "a valence 'much' in line 3"),
        (face("a.jpg", arousal=""), "one of valence and arousal without the other in line 3"),
        (face("a.jpg", split="exam"), "the split 'exam' in line 3"),
        (face(""), "no file in line 3"),
        (face("ok.png"), "again .first in line 2."),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, row: dict[str, object], reason: str) -> None:
    with pytest.raises(MienError, match=reason) as caught:
        labels(tmp_path, face("ok.jpg", split=""), row)
    assert caught.value.code is ErrorCode.BAD_MANIFEST


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        ("file,label,valence,arousal\n", "has no labels"),
        ("file,label,valence\na,1,0\n", "lacks the column 'arousal'"),
        ("file,label,valence,arousal,mood\n", "has a column 'mood'"),
        ("file,label,valence,arousal\na,1,0,0,9\n", "5 cells where 4 are expected in line 2"),
    ],
)
def test_tables_of_another_form_are_refused(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(MienError, match=reason):
        LabelFile(path)
