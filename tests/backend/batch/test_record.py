# SPDX-License-Identifier: GPL-3.0-or-later
"""Which shots are finished, and why others are not."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest

from backend.batch import record as records
from backend.batch.record import RECORD, Failure, ShotRecord, made_from, read_record, why_again, write_record
from backend.batch.shot import Shot, Task
from tests.backend.batch.conftest import with_options


@pytest.fixture
def shot(tmp_path, common) -> Shot:
    source = tmp_path / "shots" / "anna.mov"
    source.parent.mkdir()
    source.write_bytes(b"one")
    return replace(with_options(common, source=str(source)), name="sub/anna", formats=("npz",))


@pytest.fixture
def folder(tmp_path, shot, record):
    """Of the shot, finished."""
    folder = shot.folder(tmp_path / "out")
    folder.mkdir(parents=True)
    (folder / "anna.take.npz").write_bytes(b"123")
    write_record(folder, replace(record, made_from=made_from(shot, "conform")))
    return folder


def why(shot, folder, timing="conform"):
    return why_again(read_record(folder), shot, timing, folder)


def test_finished(shot, folder):
    assert why(shot, folder) is None


def test_a_record_comes_back_as_it_was(record, tmp_path):
    record = replace(record, failures=(Failure("fbx", "usage", "No.", "Yes."),), doubts=("a \udcff",))
    write_record(tmp_path, record)
    assert read_record(tmp_path) == record


def test_a_task_goes_anywhere_and_comes_back(shot):
    task = Task(shot, "/out", 2, None, "source", "/out/stop")
    assert Task.from_json(json.loads(json.dumps(task.to_json()))) == task


def test_another_device_or_time_of_change_is_no_change(shot, folder):
    os.utime(shot.options.source, (1, 1))
    assert why(with_options(shot, device="cuda"), folder) is None


def test_a_source_that_was_put_away_leaves_its_results(shot, folder):
    os.unlink(shot.options.source)
    assert why(shot, folder) is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda shot, folder: (folder / RECORD).unlink(), "not done yet"),
        (lambda shot, folder: (folder / RECORD).write_text("{"), "not done yet"),
        (lambda shot, folder: (folder / "anna.take.npz").unlink(), "anna.take.npz is missing or changed"),
        (lambda shot, folder: (folder / "anna.take.npz").write_bytes(b""), "anna.take.npz is missing or changed"),
        (lambda shot, folder: open(shot.options.source, "wb").write(b"two"), "its source has changed"),
    ],
)
def test_what_has_changed_is_said(shot, folder, change, said):
    change(shot, folder)
    assert why(shot, folder) == said


def test_other_wishes(shot, folder, monkeypatch):
    assert why(with_options(shot, smoothing=0.1), folder) == "another smoothing is asked for"
    assert why(with_options(shot, focal_mm=20, face=2), folder) == "another face and focal is asked for"
    assert why(replace(shot, formats=("npz", "blend")), folder) == "other formats are asked for"
    assert why(shot, folder, "source") == "another timing is asked for"
    monkeypatch.setattr(records, "VERSION", "99.0")
    assert why(shot, folder).startswith("it was done by Mien 0")


@pytest.mark.parametrize("state", ["failed", "partial"])
def test_what_failed_is_tried_again(shot, folder, state):
    write_record(folder, replace(read_record(folder), state=state))
    assert why(shot, folder) in ("it failed", "a format could not be written")


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"{}", b"\xff", b'{"schema": 1}', b"[" * 100_000])
def test_a_damaged_record_is_none(tmp_path, content):
    (tmp_path / RECORD).write_bytes(content)
    assert read_record(tmp_path) is None


def test_a_sequence_changes_with_any_of_its_pictures(tmp_path, pictures, common):
    pictures(tmp_path / "seq", "p.{:03}.png", range(5))
    shot = replace(with_options(common, source=str(tmp_path / "seq" / "p.###.png")), name="p")
    before = made_from(shot, "conform")
    known = ShotRecord("p", "", "finished", "green", (), before, files={})
    assert why_again(known, shot, "conform", tmp_path) is None
    os.utime(tmp_path / "seq" / "p.003.png", (1, 1))
    assert why_again(known, shot, "conform", tmp_path) is None
    (tmp_path / "seq" / "p.003.png").unlink()
    assert why_again(known, shot, "conform", tmp_path) == "its source has changed"
