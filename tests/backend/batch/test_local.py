# SPDX-License-Identifier: GPL-3.0-or-later
"""Worker processes: what kills one is told, and stops no other shot. The work is stood in for."""

from __future__ import annotations

import csv
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from backend.batch.batch import Ways, run_batch
from backend.batch.display import PlainLines
from backend.batch.local import ATTEMPTS, LocalRunner
from backend.batch.plan import Shard, make_plan
from backend.batch.record import read_record, write_record
from backend.batch.run_shot import _record, failed_record
from backend.batch.shot import Shot, Task
from blender_addon.contract.errors import ErrorCode
from blender_addon.contract.files import file_error
from tests.backend.batch.conftest import with_options


def work(values):
    """Does what the shot's name says, in a process that is started anew."""
    task = Task.from_json(values)
    folder = task.shot.folder(Path(task.out))
    folder.mkdir(parents=True, exist_ok=True)
    name = task.shot.name
    with open(folder / "attempts", "a") as file:
        file.write("x")
    if name.startswith("killed") or (name.startswith("once") and (folder / "attempts").stat().st_size == 1):
        (folder / ".mien-half").mkdir(exist_ok=True)
        (folder / ".mien-half" / "a.take.npz").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if name.startswith("segfault"):
        os.kill(os.getpid(), signal.SIGSEGV)
    if name.startswith("slow"):
        while not os.path.exists(task.stop_file):
            time.sleep(0.02)
        return "stopped"
    if name.startswith("elsewhere") and (folder / "attempts").stat().st_size < 3:
        return "busy"
    if name.startswith("full"):
        place = Path(task.out if name == "full" else "/home/of/a/machine") / "a.bin"
        return failed_record(task, file_error(place, OSError(28, "No space left on device"))).to_json()
    record = _record(task, {}, "finished", files={}, seconds={"total": 0.1})
    write_record(folder, record)
    return record.to_json()


pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")


@pytest.fixture
def run(tmp_path, common):
    def run(*names: str, jobs: int = 2, then=lambda display: None):
        out = tmp_path / "out"
        out.mkdir(exist_ok=True)
        shots = [replace(with_options(common, source=f"/shots/{name}.mov"), name=name) for name in names]
        plan = make_plan(shots, out, Shard(), "conform", again=False)
        outcome = run_batch(plan, Ways(1, None, "conform"), LocalRunner(jobs, work), Watching(then))
        return outcome, out

    return run


class Watching(PlainLines):
    """Calls back when the first shot has ended."""

    def __init__(self, then) -> None:
        super().__init__(sys.stderr)
        self._then = then

    def ended(self, record) -> None:
        super().ended(record)
        then, self._then = self._then, lambda display: None
        then(self)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_shot_that_kills_its_process_stops_no_other(run, jobs):
    outcome, out = run("a", "killed", "b", "segfault", "c", "once", "d", jobs=jobs)
    states = {name: record.state for name, record in outcome.records.items()}
    assert states == dict.fromkeys("abcd", "finished") | {"once": "finished", "killed": "failed", "segfault": "failed"}
    killed, crashed = outcome.records["killed"], outcome.records["segfault"]
    assert "SIGKILL" in killed.reasons[0] and "out of memory" in killed.reasons[0] and "killed.mov" in killed.reasons[0]
    assert "SIGSEGV" in crashed.reasons[0] and "memory" not in crashed.reasons[0].partition(". ")[0]
    assert read_record(out / "killed") == killed
    assert (out / "killed" / "attempts").stat().st_size == ATTEMPTS
    assert not (out / "killed" / ".mien-half").exists()
    with open(out / "batch.csv", newline="") as file:
        assert {row["name"]: row["state"] for row in csv.DictReader(file)} == states


def test_stopping_keeps_what_was_done_and_lets_the_others_clear_up(run):
    def interrupt(display) -> None:
        raise KeyboardInterrupt

    started = time.monotonic()
    outcome, out = run("a", "slow1", "slow2", "slow3", "slow4", then=interrupt)
    assert time.monotonic() - started < 30
    assert outcome.stopped and set(outcome.records) == {"a"}
    assert not list(out.glob(".mien-*"))
    text = (out / "batch.html").read_text()
    assert "http-equiv" not in text and text.count("Waiting") == 4


def test_a_shot_that_another_batch_works_on_is_asked_for_again(run, monkeypatch, capsys):
    monkeypatch.setattr("backend.batch.batch._ASK_SECONDS", 0.1)
    outcome, out = run("elsewhere", "a", "b")
    assert set(outcome.records) == {"a", "b", "elsewhere"} and list(outcome.records)[-1] == "elsewhere"
    assert capsys.readouterr().err.count("elsewhere is being done by another batch") == 1
    assert (out / "elsewhere" / "attempts").stat().st_size == 3


def test_stopping_does_not_wait_for_another_batch(run, monkeypatch):
    def interrupt(display) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("backend.batch.batch._ASK_SECONDS", 1000.0)
    outcome, _ = run("elsewhere", "a", jobs=1, then=interrupt)
    assert outcome.stopped and set(outcome.records) == {"a"}


def test_a_full_disk_of_the_results_stops_the_batch(run):
    outcome, out = run("a", "full", "slow1", "slow2", jobs=2)
    assert outcome.full.code == ErrorCode.NO_SPACE and not outcome.stopped
    assert {name: record.state for name, record in outcome.records.items()} == {"a": "finished", "full": "failed"}
    with open(out / "batch.csv", newline="") as file:
        states = {row["name"]: row["state"] for row in csv.DictReader(file)}
    assert states == {"a": "finished", "full": "failed", "slow1": "waiting", "slow2": "waiting"}


def test_a_full_disk_of_one_machine_stops_no_other_shot(run):
    outcome, _ = run("full of its own", "a")
    assert outcome.full is None and outcome.records["a"].state == "finished"


def test_shots_are_what_they_were_in_the_other_process(common):
    shot = replace(with_options(common, source="/a.mov", references=("b.mov",)), name="x", formats=("npz",))
    assert Shot.from_json(shot.to_json()) == shot
