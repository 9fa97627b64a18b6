# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import subprocess
import sys

import pytest

from blender_addon.contract.errors import ErrorCode, MienError
from training.study.desk import Desk, Refused
from training.study.order import trials
from training.study.records import ANSWER_COLUMNS, ANSWERS, PARTICIPANTS, Table, read_records
from training.study.study_file import read_study

HEADER = ",".join(ANSWER_COLUMNS)
GOOD = "2026-01-02T03:04:05+00:00,AAAAAA,consistency/deca/a,,,4,,1.250"


def _write(folder, *lines: str, end: str = "\n") -> None:
    (folder / PARTICIPANTS).write_text("participant,number,started\nAAAAAA,0,2026-01-02T03:00:00+00:00\n")
    (folder / ANSWERS).write_text("\n".join((HEADER, *lines)) + end)


def test_answers_are_on_the_disk_at_once_and_a_code_goes_on_where_it_stopped(made, tmp_path):
    study = made()
    with Desk(tmp_path) as desk:
        code = desk.begin()
        order = trials(study, 0)
        for position, trial in enumerate(order[:30]):
            desk.answer(code, position, study.choices(trial.item)[1], None, 0.5 + position)
            assert len((tmp_path / ANSWERS).read_text().splitlines()) == position + 2
    with Desk(tmp_path) as desk:
        state = desk.state(f" {code.lower()} ")
        answered = [trial["answer"] for trial in state["trials"]]
        assert all(answered[:30]) and not any(answered[30:]) and len(answered) == len(order)
        assert state["participant"] == code
        assert desk.begin() != code and len(desk) == 2
    records = read_records(tmp_path, study)
    assert [person.number for person in records.participants.values()] == [0, 1]
    assert [answer.seconds for answer in records.answers] == [0.5 + position for position in range(30)]
    assert not records.problems


def test_a_later_answer_takes_the_place_of_an_earlier_one(made, tmp_path):
    study = made()
    with Desk(tmp_path) as desk:
        code = desk.begin()
        desk.answer(code, 0, "sad", None, 1.0)
        desk.answer(code, 0, "fear", None, 2.0)
        assert desk.state(code)["trials"][0]["answer"] == "fear"
    records = read_records(tmp_path, study)
    assert len(records.answers) == 2
    assert [answer.answer for answer in records.latest().values()] == ["fear"]


def test_comparisons_keep_the_method_and_the_page_the_side(made, tmp_path):
    study = made(tasks=[next(task for task in made().tasks if task.name == "comparison")])
    with Desk(tmp_path) as desk:
        code = desk.begin()
        for position, trial in enumerate(trials(study, 0)):
            desk.answer(code, position, "right", None, 1.0)
            assert desk.state(code)["trials"][position]["answer"] == "right"
            answer = read_records(tmp_path, study).answers[-1]
            assert (answer.sides, answer.answer) == (trial.sides, trial.sides[1])


def test_the_page_is_not_told_what_would_bias(made, tmp_path):
    made()
    with Desk(tmp_path) as desk:
        told = str(desk.state(desk.begin()))
    for word in ("emoca", "deca", "sample", "accept", "photos", "renders", "same"):
        assert word not in told


@pytest.mark.parametrize(
    "line",
    [
        GOOD[:40],
        GOOD[:-3] + "x",
        GOOD.replace("deca/a", "deca/zz"),
        GOOD.replace(",4,", ",9,"),
        GOOD.replace(",4,,", ",4,7,"),
        GOOD.replace("1.250", "nan"),
        GOOD.replace("1.250", "-1"),
        GOOD.replace("AAAAAA", "BBBBBB"),
        GOOD.replace("2026-01-02", "yesterday"),
        GOOD.replace("a,,,4", "a,deca,emoca,4"),
        GOOD + ",1",
        '"' + GOOD,
        "\x00" * 20,
    ],
)
def test_damaged_lines_count_for_nothing_and_are_told(made, tmp_path, line):
    study = made()
    _write(tmp_path, GOOD, line, GOOD.replace("deca/a", "deca/b"))
    records = read_records(tmp_path, study)
    assert [answer.item for answer in records.answers] == ["consistency/deca/a", "consistency/deca/b"]
    (problem,) = records.problems
    assert problem.startswith(f"{ANSWERS} line 3: ")


def test_bytes_that_are_no_text_are_told(made, tmp_path):
    study = made()
    _write(tmp_path, GOOD)
    with (tmp_path / ANSWERS).open("ab") as file:
        file.write(b"\xff\xfe\n")
    assert len(read_records(tmp_path, study).problems) == 1


@pytest.mark.parametrize("kept", [len(GOOD) - 2, 30, 1])
def test_a_line_that_was_cut_off_stays_apart_from_those_after_it(made, tmp_path, kept):
    study = made()
    _write(tmp_path, GOOD, GOOD.replace("deca/a", "deca/b")[:kept], end="")
    assert [len(read_records(tmp_path, study).answers), len(read_records(tmp_path, study).problems)] == [1, 1]
    with Desk(tmp_path) as desk:
        assert len(desk.problems) == 1
        desk.answer("AAAAAA", 0, "sad", None, 1.0)
    records = read_records(tmp_path, study)
    assert len(records.answers) == 2 and len(records.problems) == 1


def test_another_table_is_refused(made, tmp_path):
    study = made()
    (tmp_path / ANSWERS).write_text("name,age\nx,1\n")
    with pytest.raises(MienError, match="first line") as error:
        read_records(tmp_path, study)
    assert error.value.code == ErrorCode.BAD_STUDY


def test_people_twice_are_told(made, tmp_path):
    study = made()
    _write(tmp_path, GOOD)
    with (tmp_path / PARTICIPANTS).open("a") as file:
        file.write("AAAAAA,1,2026-01-02T03:00:00+00:00\nBBBBBB,0,2026-01-02T03:00:00+00:00\n")
    records = read_records(tmp_path, study)
    assert list(records.participants) == ["AAAAAA"] and len(records.problems) == 2


@pytest.mark.parametrize(
    ("position", "pressed", "intensity", "seconds"),
    [(-1, "sad", None, 1.0), (10**6, "sad", None, 1.0), ("0", "sad", None, 1.0), (True, "sad", None, 1.0),
     (0, "joy", None, 1.0), (0, None, None, 1.0), (0, ["sad"], None, 1.0), (0, "left", None, 1.0), (0, "1", None, 1.0),
     (0, "sad", 3, 1.0), (0, "sad", None, None), (0, "sad", None, -1.0), (0, "sad", None, float("nan")),
     (0, "sad", None, float("inf")), (0, "sad", None, 10**400), (0, "sad", None, True)],
)  # fmt: skip
def test_what_is_no_answer_is_refused_and_not_kept(made, tmp_path, position, pressed, intensity, seconds):
    made()
    with Desk(tmp_path) as desk:
        code = desk.begin()
        with pytest.raises(Refused):
            desk.answer(code, position, pressed, intensity, seconds)
        assert (tmp_path / ANSWERS).read_text() == HEADER + "\n"


def test_intensity_is_asked_where_an_emotion_is_seen(made, tmp_path):
    from training.study.design import Task

    study = made(tasks=[Task("classification", intensity=True)])
    with Desk(tmp_path) as desk:
        code = desk.begin()
        desk.answer(code, 0, "sad", 4, 1.0)
        desk.answer(code, 1, "neutral", None, 1.0)
        for wrong in (None, 0, 6, 2.5, True, "3"):
            with pytest.raises(Refused):
                desk.answer(code, 2, "sad", wrong, 1.0)
        with pytest.raises(Refused):
            desk.answer(code, 2, "none", 3, 1.0)
    assert [answer.intensity for answer in read_records(tmp_path, study).answers] == [4, None]


def test_two_desks_do_not_share_a_study(made, tmp_path):
    made()
    with Desk(tmp_path), pytest.raises(MienError, match="served already") as error:
        Desk(tmp_path)
    assert error.value.code == ErrorCode.USAGE
    Desk(tmp_path).__exit__(None, None, None)


def test_a_line_that_cannot_be_written_whole_leaves_nothing(tmp_path, monkeypatch):
    table = Table(tmp_path / "t.csv", ("a", "b"))
    whole = (tmp_path / "t.csv").read_bytes()
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, line: write(file, line[: len(line) // 2]))
    with pytest.raises(MienError) as error:
        table.add(("1", "2"))
    assert error.value.code == ErrorCode.NO_SPACE
    assert (tmp_path / "t.csv").read_bytes() == whole


def test_answers_outlive_a_killed_process(made, tmp_path, repository):
    made()
    script = (
        "import os, sys; from pathlib import Path; from training.study.desk import Desk\n"
        "desk = Desk(Path(sys.argv[1])); code = desk.begin(); desk.answer(code, 0, 'sad', None, 1.0); print(code)\n"
        "sys.stdout.flush(); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", script, tmp_path], cwd=repository, capture_output=True, text=True)
    assert done.returncode != 0
    with Desk(tmp_path) as desk:
        assert desk.state(done.stdout.strip())["trials"][0]["answer"] == "sad"
    assert len(read_records(tmp_path, read_study(tmp_path)).answers) == 1
