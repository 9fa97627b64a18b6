# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest

from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.models import EMOTIONS
from tests.training.study.conftest import ALL, fill
from training.study.design import Task
from training.study.gathering import gather
from training.study.making import WORDS, Wanted, askable, make_study
from training.study.study_file import read_study, write_study


def test_every_picture_and_pair_is_asked_once(made):
    study = made(methods=("deca", "emoca", "smirk"))
    assert [len(study.of_task(task.name)) for task in study.tasks] == [8 * 4, 8 * 3, 8 * 3]
    assert study.methods == ("deca", "emoca", "smirk")
    assert len({item.id for item in study.items}) == len(study.items)
    pairs = {item.candidates for item in study.of_task("comparison")}
    assert pairs == {("deca", "emoca"), ("deca", "smirk"), ("emoca", "smirk")}
    for item in study.of_task("consistency"):
        assert item.pictures[0].path == f"photos/{item.face}.png"
        assert item.pictures[1].path == f"renders/{item.candidates[0]}/{item.face}.png"


def test_what_is_missing_or_unreadable_is_told_and_left_out(tmp_path):
    fill(tmp_path, "abc", ["deca", "emoca"])
    (tmp_path / "renders" / "deca" / "b.png").unlink()
    (tmp_path / "renders" / "emoca" / "c.png").write_bytes(b"no picture")
    (tmp_path / "renders" / "emoca" / "d.png").write_bytes((tmp_path / "photos" / "a.png").read_bytes())
    (tmp_path / "photos" / "a.jpg").write_bytes((tmp_path / "photos" / "a.png").read_bytes())
    (tmp_path / "photos" / "e.heic").write_bytes(b"?")
    found = gather(tmp_path)
    assert found.missing("deca") == ["b"] and found.missing("emoca") == ["c"]
    told = " / ".join(found.problems)
    assert "renders/emoca/c.png: damaged" in told and "1 render of emoca without a photo: d" in told
    assert "photos/e.heic" in told and "photos/a.png: there is photos/a.jpg already" in told
    study = make_study(found, Wanted("", ALL))
    assert len(study.of_task("classification")) == 3 + 2 + 2
    assert [item.face for item in study.of_task("comparison")] == ["a"]


def test_samples_have_answers_that_are_known(made):
    study = made(samples=6)
    labels = study.labels
    for sample in study.of_task("classification", samples=True):
        if sample.instruction:
            (emotion,) = sample.accept
            assert WORDS[emotion] in sample.instruction and not sample.pictures
        else:
            assert labels[sample.face] == "happy" == sample.accept[0]
    rated = study.of_task("consistency", samples=True)
    assert {sample.accept for sample in rated} == {("4", "5"), ("1", "2")}
    for sample in (*rated, *study.of_task("comparison", samples=True)):
        photo, *others = sample.pictures
        for other in others:
            if other.source == "same":
                assert other.path == photo.path
            else:
                shown = other.path.split("/")[-1].removesuffix(".png")
                assert "happy" in (labels[sample.face], labels[shown]) and labels[sample.face] != labels[shown]
    assert {sample.accept for sample in study.of_task("comparison", samples=True)} == {("same",)}


def test_without_labels_samples_still_have_known_answers(made):
    study = made(labels={}, samples=4)
    assert all(sample.instruction for sample in study.of_task("classification", samples=True))
    assert {sample.accept for sample in study.of_task("consistency", samples=True)} == {("4", "5")}
    assert {sample.accept for sample in study.of_task("comparison", samples=True)} == {("same", "equal")}


@pytest.mark.parametrize(("steps", "high", "low"), [(2, "2", "1"), (4, "34", "12"), (7, "567", "123")])
def test_samples_go_by_the_middle_of_the_scale(made, steps, high, low):
    study = made(scale=tuple("abcdefg"[:steps]), samples=2)
    accepted = [sample.accept for sample in study.of_task("consistency", samples=True)]
    assert accepted == [tuple(high), tuple(low)]


def test_there_is_a_sample_for_ten_items_and_at_least_two(made):
    assert len(made(tasks=[Task("classification")]).of_task("classification", samples=True)) == 3
    assert len(made(tasks=[Task("classification", faces_once=True)]).of_task("classification", samples=True)) == 2
    assert not made(samples=0).of_task("consistency", samples=True)


def test_a_comparison_needs_two_methods(tmp_path):
    fill(tmp_path, "ab", ["deca"])
    found = gather(tmp_path)
    assert askable(found) == ("classification", "consistency")
    with pytest.raises(MienError, match="two methods") as error:
        make_study(found, Wanted("", ALL))
    assert error.value.code == ErrorCode.USAGE


def test_labels_may_be_affectnets_numbers(tmp_path):
    fill(tmp_path, "abc", ["deca"], {"a": "Happy", "b": "6", "z": "sad"})
    found = gather(tmp_path)
    assert found.labels == {"a": "happy", "b": EMOTIONS[6]}
    assert any("z" in problem for problem in found.problems)


@pytest.mark.parametrize(
    "table",
    ["name,label\na,joy\n", "name,label\na,8\n", "face,emotion\na,sad\n", "name,label\na,sad\na,sad\n",
     "name,label\na\n", "name,label\n\xff"],
)  # fmt: skip
def test_wrong_labels_are_refused_with_their_lines(tmp_path, table):
    fill(tmp_path, "a", ["deca"])
    (tmp_path / "labels.csv").write_bytes(table.encode("latin-1"))
    with pytest.raises(MienError, match=r"line|UTF-8") as error:
        gather(tmp_path)
    assert error.value.code == ErrorCode.BAD_STUDY


def test_a_study_is_read_as_it_was_written(made, tmp_path):
    study = made(tasks=[Task("classification", 5, True, True), Task("consistency")], scale=("bad", "so", "good"))
    assert read_study(tmp_path) == study


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda s: s.update(schema=9), "schema"),
        (lambda s: s.pop("title"), "'title' is missing"),
        (lambda s: s.update(seed="1"), "wrong type"),
        (lambda s: s.update(seed=True), "wrong type"),
        (lambda s: s.update(seed=-1), "its seed is -1"),
        (lambda s: s["tasks"].append({"name": "drawing"}), "tasks"),
        (lambda s: s["items"].append(s["items"][0]), "twice"),
        (lambda s: s["items"][0].update(task="drawing"), "not asked"),
        (lambda s: s["items"][0].update(pictures=[]), "0 pictures"),
        (lambda s: s["items"][0].update(accept=["joy"]), "nobody can answer"),
        (lambda s: s["items"][0].update(face="a\nb"), "control"),
        (lambda s: s["labels"].update(a="joy"), "joy"),
        (lambda s: s["rule"].update(passed=float("nan")), "rule"),
        (lambda s: s.update(scale=["x"]), "scale"),
        (lambda s: s["items"][0]["pictures"][0].update(path="../secret.png"), "outside"),
        (lambda s: s["items"][0]["pictures"][0].update(path="/etc/passwd"), "outside"),
    ],
)
def test_damaged_studies_are_refused_with_the_reason(made, tmp_path, change, reason):
    made()
    (tmp_path.parent / "secret.png").write_bytes(b"secret")
    path = tmp_path / "study.json"
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))
    with pytest.raises(MienError, match=reason) as error:
        read_study(tmp_path)
    assert error.value.code == ErrorCode.BAD_STUDY


def test_links_do_not_lead_out_of_the_folder(made, tmp_path):
    study = made()
    outside = tmp_path.parent / "outside.png"
    outside.write_bytes((tmp_path / "photos" / "a.png").read_bytes())
    (tmp_path / "photos" / "a.png").unlink()
    (tmp_path / "photos" / "a.png").symlink_to(outside)
    with pytest.raises(MienError, match="outside"):
        read_study(tmp_path)
    (tmp_path / "photos" / "a.png").unlink()
    with pytest.raises(MienError, match="missing") as error:
        read_study(tmp_path)
    assert error.value.code == ErrorCode.MISSING_FILE
    write_study(tmp_path, study)


@pytest.mark.parametrize("text", ["", "[]", "{", "null", "[" * 100000])
def test_what_is_no_study_is_refused(tmp_path, text):
    (tmp_path / "study.json").write_text(text)
    with pytest.raises(MienError) as error:
        read_study(tmp_path)
    assert error.value.code == ErrorCode.BAD_STUDY


@pytest.mark.parametrize("name", ["photo", "equal", "neither"])
def test_methods_do_not_have_the_names_of_answers(tmp_path, name):
    fill(tmp_path, "a", [name])
    with pytest.raises(MienError, match="answers have"):
        gather(tmp_path)
