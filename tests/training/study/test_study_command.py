# SPDX-License-Identifier: GPL-3.0-or-later
"""`mien train study` from pictures to scores."""

from __future__ import annotations

import csv
import http.client
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from backend.cli import main
from blender_addon.contract.errors import EXIT_CODES, ErrorCode
from tests.training.study.conftest import fill
from training.study.design import SCALE
from training.study.desk import Desk
from training.study.order import trials
from training.study.study_file import read_study


def _run(*arguments: object) -> int:
    return main(["train", "study", *map(str, arguments)])


def test_from_pictures_to_scores(tmp_path, capsys):
    fill(tmp_path, "abcdefgh", ["deca", "emoca"])
    (tmp_path / "renders" / "deca" / "b.png").unlink()
    assert _run("make", tmp_path, "--seed", 3) == 0
    said = capsys.readouterr().out
    assert "8 photos, 8 labels" in said and "deca: 7 renders, missing: b" in said
    assert "classification: 23 items; a participant answers 8 of them and 2 samples" in said
    study = read_study(tmp_path)
    assert study.scale == SCALE and study.rule.passed == 0.75
    with Desk(tmp_path) as desk:
        for careless in (False, False, True):
            code = desk.begin()
            number = len(desk) - 1
            for position, trial in enumerate(trials(study, number)):
                right = trial.item.accept or _ideal(study, trial.item)
                answer = "1" if trial.item.task == "consistency" else "neutral"
                answer = answer if trial.item.task != "comparison" else "neither"
                chosen = answer if careless else right[0]
                pressed = ("left", "right")[trial.sides.index(chosen)] if chosen in trial.item.candidates and (
                    trial.item.task == "comparison") else chosen  # fmt: skip
                desk.answer(code, position, pressed, None, 2.0)
    assert _run("score", tmp_path) == 0
    said = capsys.readouterr().out
    assert ": 2 participants, " in said and "Not counted: 1 participant." in said
    folder = tmp_path / "scores"
    with (folder / "consistency.csv").open(newline="") as file:
        rated = {row["method"]: row for row in csv.DictReader(file)}
    assert float(rated["emoca"]["mean"]) == 5 and float(rated["deca"]["mean"]) == 2
    scores = json.loads((folder / "scores.json").read_text())
    assert scores["recognised"][0]["accuracy"]["value"] == 1
    assert scores["preferences"][0]["prefers_second"]["value"] == 1
    with Image.open(folder / "confusion.png") as picture:
        assert min(picture.size) > 500
    assert {"participants.csv", "comparison.csv", "recognition.csv", "confusion-photos.csv"} <= set(os.listdir(folder))
    assert _run("score", tmp_path, "--json", "--out", tmp_path / "other") == 0
    assert json.loads(capsys.readouterr().out) == scores


def _ideal(study, item) -> tuple[str, ...]:
    """What one answers who sees the labels, and prefers EMOCA."""
    if item.task == "classification":
        return (study.labels[item.face],)
    if item.task == "consistency":
        return ("5",) if item.candidates == ("emoca",) else ("2",)
    return ("emoca",)


def test_what_a_study_is_made_of_can_be_chosen(tmp_path, capsys):
    fill(tmp_path, "abcdefgh", ["deca", "emoca"])
    options = ("--tasks", "consistency", "--each", 5, "--samples", 3, "--scale", "bad,so so,good", "--least-right", 50)
    assert _run("make", tmp_path, *options, "--least-seconds", 1, "--title", "Faces", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["items"] == {"consistency": 16} and told["samples"] == {"consistency": 3}
    study = read_study(tmp_path)
    assert (study.title, study.scale) == ("Faces", ("bad", "so so", "good"))
    assert (study.rule.passed, study.rule.seconds) == (0.5, 1)
    assert len(trials(study, 0)) == 8


@pytest.mark.parametrize(
    "wrong",
    [("--tasks", "drawing"), ("--scale", "one"), ("--least-right", "101"), ("--each", "0"), ("--takes", "folder"),
     ("--takes", "../x=folder"), ("--samples", "-1"), ("--least-seconds", "nan"), ("--seed", "-1")],
)  # fmt: skip
def test_wrong_arguments_are_told(tmp_path, capsys, wrong):
    assert _run("make", tmp_path, *wrong) == EXIT_CODES[ErrorCode.USAGE]
    assert not (tmp_path / "study.json").exists()


def test_a_study_with_participants_is_not_made_again(tmp_path, capsys):
    fill(tmp_path, "ab", ["deca"])
    assert _run("make", tmp_path) == 0
    with Desk(tmp_path) as desk:
        desk.begin()
    before = (tmp_path / "study.json").read_bytes()
    assert _run("make", tmp_path, "--seed", 5) == EXIT_CODES[ErrorCode.USAGE]
    assert "has participants already" in capsys.readouterr().err
    assert (tmp_path / "study.json").read_bytes() == before


def test_missing_things_are_told(tmp_path, capsys):
    assert _run("make", tmp_path) == EXIT_CODES[ErrorCode.MISSING_FILE]
    assert _run("score", tmp_path) == EXIT_CODES[ErrorCode.MISSING_FILE]
    assert _run("serve", tmp_path) == EXIT_CODES[ErrorCode.MISSING_FILE]
    fill(tmp_path, "ab", ["deca"])
    assert _run("make", tmp_path) == 0
    assert _run("score", tmp_path) == EXIT_CODES[ErrorCode.USAGE]
    assert "Nobody has taken part" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to one process")
def test_serving_ends_with_ctrl_c_and_keeps_what_was_answered(tmp_path, repository):
    fill(tmp_path, "ab", ["deca"])
    assert _run("make", tmp_path) == 0
    command = [sys.executable, "-c", "from backend.cli import run; run()", "train", "study", "serve", str(tmp_path)]
    process = subprocess.Popen([*command, "--port", "0"], cwd=repository, stdout=subprocess.PIPE, text=True)
    try:
        found = re.search(r"http://127\.0\.0\.1:(\d+)/", process.stdout.readline())
        connection = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=60)
        connection.request("POST", "/begin", b'{"consent": true}', {"Content-Type": "application/json"})
        code = json.loads(connection.getresponse().read())["participant"]
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert code in Path(tmp_path / "participants.csv").read_text()
