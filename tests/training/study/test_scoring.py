# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from blender_addon.contract.models import EMOTIONS
from training.study.design import Item, Picture, Rule, Study, Task
from training.study.heat_map import heat_map, matrices
from training.study.recognition import ANSWERS, majority
from training.study.records import Answer, Participant, Records
from training.study.scoring import score
from training.study.statistics import NOTHING, mean, share
from training.study.tables import csv_tables, told

TASKS = (Task("classification", intensity=True), Task("consistency"), Task("comparison"))
SAMPLES = (
    Item("s1", "consistency", "a", (Picture("photo", "a"), Picture("same", "a")), accept=("4", "5")),
    Item("s2", "consistency", "b", (Picture("photo", "b"), Picture("other", "a")), accept=("1", "2")),
)


def _study(labels: Mapping[str, str], methods: Sequence[str] = ("deca", "emoca"), rule: Rule = Rule()) -> Study:  # noqa: B008
    items = list(SAMPLES)
    for face in labels:
        for source in ("photo", *methods):
            items.append(Item(f"k/{source}/{face}", "classification", face, (Picture(source, "p"),)))
        for method in methods:
            pictures = (Picture("photo", "p"), Picture(method, "r"))
            items.append(Item(f"r/{method}/{face}", "consistency", face, pictures))
        if len(methods) > 1:
            pictures = (Picture("photo", "p"), *(Picture(method, "r") for method in methods[:2]))
            items.append(Item(f"c/{face}", "comparison", face, pictures))
    return Study("Test", 0, TASKS[: 1 + len(methods)], tuple(items), labels, rule=rule)


def _records(people: Mapping[str, Mapping[str, str]], seconds: float = 2.0, problems: Sequence[str] = ()) -> Records:
    """Answers by participant and item; `answer@intensity` where that was asked, and the samples right."""
    answers = []
    for person, given in people.items():
        for item, answer in ({"s1": "5", "s2": "1"} | dict(given)).items():
            word, _, strength = answer.partition("@")
            sides = ("emoca", "deca") if item.startswith("c/") else ()
            time = "2026-01-01T00:00:00"
            answers.append(Answer(time, person, item, sides, word, int(strength) if strength else None, seconds))
    known = {person: Participant(person, number, "2026-01-01T00:00:00") for number, person in enumerate(people)}
    return Records(known, tuple(answers), tuple(problems))


def test_shares_have_wilsons_interval():
    # Newcombe (1998), table I: 81 of 263, 15 of 148, 0 of 20 and 1 of 29.
    for hits, count, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611),
                                   (1, 29, 0.0061, 0.1718)):  # fmt: skip
        found = share(hits, count)
        assert (found.low, found.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))
    assert share(0, 0) is NOTHING


def test_means_have_an_interval_that_covers_the_truth():
    random = np.random.default_rng(0)
    people, faces = 14, 12
    who, which = np.meshgrid(np.arange(people), np.arange(faces), indexing="ij")
    covered, widths = 0, []
    for draw in range(40):
        values = random.normal(size=(people, 1)) + random.normal(size=(1, faces)) + random.normal(size=(people, faces))
        found = mean(values.ravel().tolist(), who.ravel().tolist(), which.ravel().tolist(), draw)
        assert found.value == pytest.approx(values.mean())
        covered += found.low <= 0 <= found.high
        widths.append(found.high - found.low)
    assert covered >= 34
    independent = 2 * 1.96 * math.sqrt(3 / (people * faces))
    assert np.mean(widths) > 1.5 * independent  # answers of one person, and to one face, are alike
    assert mean([], [], []) is NOTHING
    one = mean([3.0, 4.0], ["p", "p"], ["a", "b"])
    assert (one.value, one.low, one.high) == (3.5, 3.0, 4.0)


def test_ratings_and_comparisons_are_counted():
    study = _study({"a": "happy", "b": "sad"})
    scores = score(study, _records({
        "P": {"r/deca/a": "1", "r/deca/b": "2", "r/emoca/a": "5", "r/emoca/b": "4", "c/a": "emoca", "c/b": "emoca"},
        "Q": {"r/deca/a": "3", "r/emoca/a": "4", "c/a": "equal", "c/b": "deca"},
        "R": {"r/emoca/a": "5", "c/a": "neither"},
    }))  # fmt: skip
    emoca, deca = scores.ratings
    assert (emoca.method, emoca.mean.value, emoca.mean.count) == ("emoca", 4.5, 4)
    assert (emoca.steps, emoca.people, emoca.faces) == ((0, 0, 0, 2, 2), 3, 2)
    assert emoca.score.value == pytest.approx(0.875)
    assert (deca.mean.value, deca.people, deca.steps) == (2.0, 2, (1, 1, 1, 0, 0))
    assert deca.mean.low <= 2.0 <= deca.mean.high
    (pair,) = scores.preferences
    assert (pair.first, pair.second) == ("deca", "emoca")
    values = [each.value for each in (pair.prefers_first, pair.prefers_second, pair.equal, pair.neither)]
    assert values == pytest.approx([0.2, 0.4, 0.2, 0.2])
    assert pair.prefers_second == share(2, 5) and (pair.people, pair.faces) == (3, 2)
    assert scores.answers == 12 and scores.seen["consistency"] == (1, 3)


def test_confusion_votes_and_ties():
    study = _study({"a": "happy", "b": "sad", "c": "fear"}, methods=("emoca",))
    scores = score(study, _records({
        "P": {"k/photo/a": "happy@3", "k/photo/b": "sad@2", "k/photo/c": "fear@4", "k/emoca/a": "happy@5",
              "k/emoca/b": "neutral", "k/emoca/c": "surprise@4"},
        "Q": {"k/photo/a": "happy@4", "k/photo/b": "sad@2", "k/photo/c": "surprise@4", "k/emoca/a": "happy@2",
              "k/emoca/b": "sad@1", "k/emoca/c": "surprise@2"},
        "R": {"k/photo/a": "happy@4", "k/photo/b": "none", "k/emoca/a": "contempt@2"},
    }))  # fmt: skip
    photo, emoca = scores.recognised
    happy, sad, fear, surprise = (EMOTIONS.index(name) for name in ("happy", "sad", "fear", "surprise"))
    expected = np.zeros((8, 9), int)
    expected[happy, happy], expected[sad, sad], expected[sad, ANSWERS.index("none")] = 3, 2, 1
    expected[fear, fear] = expected[fear, surprise] = 1
    np.testing.assert_array_equal(photo.confusion, expected)
    assert photo.accuracy == share(6, 8) and photo.voted == share(2, 3) and photo.people == 3
    assert photo.ties == {"c": ("surprise", "fear")}
    assert emoca.accuracy == share(3, 7) and emoca.voted == share(1, 3)
    assert emoca.ties == {"b": ("neutral", "sad")}
    assert emoca.intensity.value == pytest.approx((5 + 4 + 2 + 1 + 2 + 2) / 6)
    (agreed,) = scores.agreements
    assert agreed.voted == share(1, 3) and set(agreed.ties) == {"b", "c"}
    # a: all photo answers are happy, two of three of the render; b: 2/3 sad times 1/2; c: 1/2 surprise times 1.
    assert agreed.expected == pytest.approx((2 / 3 + 1 / 3 + 1 / 2) / 3)
    assert agreed.matrix.sum() == pytest.approx(3) and agreed.matrix[fear, surprise] == pytest.approx(0.5)
    # P: a agrees, b and c do not; Q: all agree; R: a does not.
    assert agreed.same_person == share(4, 7)
    assert agreed.intensity.value == pytest.approx((2 + 0 - 2 - 1 - 2 - 2) / 6)


def test_the_most_frequent_answer():
    from collections import Counter

    assert majority(Counter(sad=2, fear=1)) == ("sad",)
    assert majority(Counter(fear=2, sad=2, none=2)) == ("sad", "fear", "none")
    assert majority(Counter()) == ()


def test_those_who_do_not_look_do_not_count():
    study = _study({"a": "happy"}, methods=("emoca",))
    good = {"r/emoca/a": "5"}
    records = _records({"GOOD": good, "HALF": good | {"s2": "5"}, "NONE": good | {"s1": "1", "s2": "3"}})
    hasty = _records({"FAST": good}, seconds=0.2)
    people = dict(records.participants) | {"FAST": Participant("FAST", 3, ""), "IDLE": Participant("IDLE", 4, ""),
                                          "EARLY": Participant("EARLY", 5, "")}  # fmt: skip
    early = Answer("2026-01-01T00:00:00", "EARLY", "r/emoca/a", (), "1", None, 3.0)
    scores = score(study, Records(people, (*records.answers, *hasty.answers, early), ()))
    reasons = {person.code: person.reason for person in scores.people}
    assert reasons["GOOD"] == ""
    assert reasons["HALF"].startswith("1 of 2 qualification samples right, less than 75 %")
    assert reasons["NONE"].startswith("0 of 2")
    assert reasons["FAST"] == "median time 0.20 s, less than 0.7 s"
    assert reasons["IDLE"] == "gave no answers"
    assert "before the first" in reasons["EARLY"]
    assert scores.answers == 1 and scores.ratings[0].mean.value == 5.0
    text = told(scores)
    assert "1 participant, 1 answer." in text and "Not counted: 5 participants." in text and "HALF: 1 of 2" in text


def test_the_rule_is_the_studys():
    study = _study({"a": "happy"}, methods=("emoca",), rule=Rule(passed=0.5, seconds=0.0))
    scores = score(study, _records({"HALF": {"r/emoca/a": "3", "s2": "5"}}, seconds=0.1))
    assert scores.people[0].counts and scores.answers == 1


def test_what_is_printed_and_written_says_the_same(tmp_path):
    study = _study({"a": "happy", "b": "sad"})
    scores = score(study, _records({
        "P": {"r/deca/a": "1", "r/emoca/a": "5", "c/a": "emoca", "k/photo/a": "happy@2", "k/emoca/a": "happy@3",
              "k/deca/a": "neutral"},
        "Q": {"r/deca/a": "2", "r/emoca/a": "4", "c/a": "emoca", "k/photo/b": "sad@4"},
    }, problems=["answers.csv line 7: it is cut off"]))  # fmt: skip
    text, tables = told(scores), csv_tables(scores)
    for word in ("emoca", "4.50", "deca / emoca", "100.0", "Left out: answers.csv line 7", "photos and emoca"):
        assert word in text
    rated = list(csv.DictReader(io.StringIO(tables["consistency"])))
    assert [row["method"] for row in rated] == ["emoca", "deca"] and rated[0]["mean"] == "4.5"
    assert list(csv.DictReader(io.StringIO(tables["participants"])))[0]["counts"] == "yes"
    confusion = list(csv.DictReader(io.StringIO(tables["confusion-photos"])))
    assert confusion[EMOTIONS.index("happy")]["happy"] == "1"
    plain = json.loads(json.dumps(scores.to_json(), allow_nan=False))
    assert plain["ratings"][0]["mean"]["value"] == 4.5
    assert plain["recognised"][0]["confusion"][1][1] == 1


def test_a_study_without_labels_or_answers_is_scored():
    study = _study({"a": "happy"}, methods=("emoca",))
    bare = Study("Test", 0, study.tasks, study.items)
    scores = score(bare, _records({"P": {"k/photo/a": "happy@1", "k/emoca/a": "sad@1"}}))
    assert scores.recognised[0].accuracy is NOTHING and "no labels" in told(scores)
    assert [matrix.title for matrix in matrices(scores)] == ["photos and emoca"]
    empty = score(bare, _records({}))
    assert not empty.ratings and "0 participants, 0 answers" in told(empty) and not csv_tables(empty)
    json.dumps(empty.to_json(), allow_nan=False)


def test_the_picture_shows_the_numbers():
    study = _study({"a": "happy", "b": "sad"}, methods=("emoca",))
    scores = score(study, _records({"P": {"k/photo/a": "happy@1", "k/photo/b": "fear@1"}, "Q": {"k/photo/b": "sad@1"}}))
    (matrix,) = matrices(scores)
    picture = np.asarray(heat_map([matrix]).convert("RGB")).astype(int)
    assert picture.shape[0] > 500 and picture.shape[1] > 500
    blue = (np.abs(picture - (23, 78, 134)).sum(2) < 10).sum()  # the full cell: happy answered happy
    half = (np.abs(picture - (134, 162, 191)).sum(2) < 12).sum()  # two halves: sad answered sad and fear
    assert 2000 < blue < 3200 and 2 * 2000 < half < 2 * 3200
