# SPDX-License-Identifier: GPL-3.0-or-later
"""AFEW-VA and Aff-Wild2: annotations of every frame."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from backend.cli import main
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.models import EMOTIONS
from tests import fabricated_datasets as fabricated
from training.datasets.afew_va import afew_va, afew_va_records
from training.datasets.aff_wild2 import aff_wild2, aff_wild2_records
from training.datasets.report import Findings, Reason
from training.folds import FOLDS
from training.preprocessing.sources import all_records

VA, EXPR = "VA_Estimation_Challenge", "EXPR_Classification_Challenge"
SEVEN = "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise"


def test_afew_va_is_scaled_and_boxed(tmp_path: Path) -> None:
    fabricated.afew_va(tmp_path, {"001": 3, "002": 2})
    fabricated.prepare(tmp_path / "prepared", [f"001/{n:05d}" for n in range(3)] + ["002/00000", "002/00001"])
    faces = afew_va(tmp_path)
    assert len(faces) == 5
    assert [round(float(faces[index]["valence"]), 5) for index in range(5)] == [-0.2, -0.1, 0, -0.2, -0.1]
    assert float(faces[0]["arousal"]) == 0.5
    assert [int(faces[index]["label"]) for index in range(2)] == [-1, -1]
    assert [indices.tolist() for indices in faces.by_person()] == [[0, 1, 2], [3, 4]]
    marks = fabricated.whole(0).landmarks - 0.5
    np.testing.assert_allclose(faces.records[0].box, [*marks.min(0), *marks.max(0)], rtol=1e-6)


def test_afew_va_tells_damaged_annotations(tmp_path: Path) -> None:
    fabricated.afew_va(tmp_path, {"001": 4, "002": 1, "003": 1})
    path = tmp_path / "001" / "001.json"
    content = json.loads(path.read_text())
    content["frames"]["00000"]["valence"] = 11
    content["frames"]["00001"]["landmarks"] = [[1, 2]] * 67
    content["frames"]["00002"]["landmarks"] = [[1, 2], [3]] * 34
    path.write_text(json.dumps(content))
    fabricated.truncate(tmp_path / "002" / "002.json")
    (tmp_path / "003" / "003.json").write_text("[1, 2]")
    findings = Findings()
    assert [record.name for record in afew_va_records(tmp_path, findings)] == ["001/00003"]
    troubles = findings.troubles()
    assert troubles[Reason.BAD_ROW].first == ("001/00000: valence 11",)
    assert troubles[Reason.BAD_LANDMARKS].count == 2
    assert "(67, 2)" in troubles[Reason.BAD_LANDMARKS].first[0]
    assert troubles[Reason.BAD_LABELS].count == 2
    with pytest.raises(MienError, match="holds no clips of AFEW-VA"):
        list(afew_va_records(tmp_path / "elsewhere", findings))


def test_what_preparing_leaves_is_no_clip_of_afew_va(tmp_path: Path) -> None:
    fabricated.afew_va(tmp_path, {"001": 1})
    assert main(["train", "prepare", "afew_va", "--folder", str(tmp_path), "--workers", "1"]) == 0
    assert (tmp_path / "prepared" / "prepared.json").exists()
    findings = Findings()
    assert [record.name for record in afew_va_records(tmp_path, findings)] == ["001/00000"]
    assert not findings.troubles()


def test_nobody_of_afew_va_is_trained_and_tested_on(tmp_path: Path) -> None:
    clips = {f"{number:03d}": 1 + number % 3 for number in range(1, 13)}
    fabricated.afew_va(tmp_path, clips, {clip: f"actor {int(clip) // 2}" for clip in clips})
    names = [f"{clip}/{frame:05d}" for clip, count in clips.items() for frame in range(count)]
    fabricated.prepare(tmp_path / "prepared", names)
    seen: list[str] = []
    for fold in range(FOLDS):
        train, test = (afew_va(tmp_path, part, fold) for part in ("train", "test"))
        actors = [{int(record.name[:3]) // 2 for record in part.records} for part in (train, test)]
        assert not actors[0] & actors[1]
        assert len(train) + len(test) == len(names)
        assert train.report().left_out == {"in other folds": len(test)}
        seen += [record.name for record in test.records]
    assert sorted(seen) == sorted(names)
    with pytest.raises(MienError, match="no fold 5") as raised:
        afew_va(tmp_path, "test", 5)
    assert raised.value.code is ErrorCode.USAGE


def test_aff_wild2_joins_what_the_challenges_say(tmp_path: Path) -> None:
    fabricated.aff_wild2_annotations(
        tmp_path, VA, "Train", "1-30-1280x720", ["valence,arousal", "0.5,-0.5", "-5,-5", "-5.0,0.2", "0.25,0.75"]
    )
    fabricated.aff_wild2_annotations(tmp_path, EXPR, "Train", "1-30-1280x720", [SEVEN, "4", "1", "-1", "-1"])
    fabricated.aff_wild2_annotations(tmp_path, EXPR, "Train", "7_left", [f"{SEVEN},Other", "7", "6", "0"])
    fabricated.aff_wild2_annotations(tmp_path, VA, "Validation", "9", ["valence,arousal", "0.1,0.1"])
    for video in ("1-30-1280x720", "7_left"):
        for frame in range(1, 5):
            fabricated.save(tmp_path / "cropped_aligned" / video / f"{frame:05d}.jpg", fabricated.whole(0).pixels)
    names = [f"1-30-1280x720/{frame:05d}" for frame in (1, 2, 4)] + ["7_left/00002", "7_left/00003"]
    fabricated.prepare(tmp_path / "prepared", names)
    faces = aff_wild2(tmp_path, "train")
    assert [record.name for record in faces.records] == names
    labels = [EMOTIONS[label] if label >= 0 else None for label in faces.labels()]
    assert labels == ["happy", "anger", None, "surprise", "neutral"]
    affect = np.array([(float(faces[index]["valence"]), float(faces[index]["arousal"])) for index in range(5)])
    np.testing.assert_allclose(affect[[0, 2]], [(0.5, -0.5), (0.25, 0.75)])
    assert np.isnan(affect[[1, 3, 4]]).all()
    assert [indices.tolist() for indices in faces.by_person()] == [[0, 1, 2], [3, 4]]
    assert faces.report().left_out == {"not annotated": 2}
    assert faces.records[0].picture == "cropped_aligned/1-30-1280x720/00001.jpg"
    assert len(aff_wild2(tmp_path, "train", "va")) == 2
    with pytest.raises(MienError, match="holds no annotations"):
        aff_wild2(tmp_path, "validation", "expr")


def test_aff_wild2_finds_videos_and_whom_of_two_people(tmp_path: Path) -> None:
    packed = tmp_path / "ABAW Annotations"
    for track in ("5_left", "5_right", "6", "gone"):
        fabricated.aff_wild2_annotations(packed, VA, "Train", track, ["valence,arousal", "0.5,0.5", "0.5,0.5"])
    fabricated.video(tmp_path / "batch1" / "5.mp4", [fabricated.whole(0).pixels] * 2)
    fabricated.video(tmp_path / "batch2" / "6.avi", [fabricated.whole(0).pixels] * 2)
    findings = Findings()
    records = list(aff_wild2_records(tmp_path, "train", findings))
    assert [(record.name, record.picture, record.frame, record.side) for record in records[::2]] == [
        ("5_left/00001", "batch1/5.mp4", 0, "left"), ("5_right/00001", "batch1/5.mp4", 0, "right"),
        ("6/00001", "batch2/6.avi", 0, ""),
    ]  # fmt: skip
    assert findings.troubles()[Reason.NO_PICTURE].first == ("gone: neither video nor frames",)


def test_aff_wild2_trains_on_no_video_that_a_challenge_validates_on(tmp_path: Path) -> None:
    affect = ["valence,arousal", "0.5,0.5", "0.1,0.1"]
    for split, track in (("Train", "1"), ("Train", "2"), ("Train", "3_left"), ("Validation", "4")):
        fabricated.aff_wild2_annotations(tmp_path, VA, split, track, affect)
    for split, track in (("Train", "1"), ("Train", "4"), ("Validation", "2"), ("Validation", "3_right")):
        fabricated.aff_wild2_annotations(tmp_path, EXPR, split, track, [SEVEN, "4"])
    names = [f"{track}/{frame:05d}" for track in ("1", "2", "3_left", "3_right", "4") for frame in (1, 2)]
    for name in names:
        fabricated.save(tmp_path / "cropped_aligned" / f"{name}.jpg", fabricated.whole(0).pixels)
    fabricated.prepare(tmp_path / "prepared", names)
    train, validation = (aff_wild2(tmp_path, split) for split in ("train", "validation"))
    assert [record.name for record in train.records] == ["1/00001", "1/00002"]
    assert {record.name[0] for record in validation.records} == {"2", "3", "4"}
    assert train.report().left_out == {"of videos that a challenge has for validation": 5}
    assert [record.name[0] for record in aff_wild2(tmp_path, "train", "va").records] == ["1", "1", "2", "2", "3", "3"]
    assert len(all_records("aff_wild2", tmp_path, None, Findings())) == 9  # all are prepared


def test_aff_wild2_tells_nonsense(tmp_path: Path) -> None:
    fabricated.video(tmp_path / "batch1" / "1.mp4", [fabricated.whole(0).pixels])
    fabricated.aff_wild2_annotations(tmp_path, VA, "Train", "1", ["valence,arousal", "0.5", "2,0", "x,0", "", "0,0"])
    fabricated.aff_wild2_annotations(tmp_path, EXPR, "Train", "1", ["Happy,Sad", "0"])
    fabricated.aff_wild2_annotations(tmp_path, EXPR, "Train", "2", [SEVEN, "7"])
    findings = Findings()
    assert [record.name for record in aff_wild2_records(tmp_path, "train", findings)] == ["1/00005"]
    troubles = findings.troubles()
    assert troubles[Reason.BAD_ROW].count == 4
    assert "class 7" in troubles[Reason.BAD_ROW].first[3]
    assert troubles[Reason.BAD_LABELS].first == ("1.txt: header 'happy,sad'",)
