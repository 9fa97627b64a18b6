# SPDX-License-Identifier: GPL-3.0-or-later
"""Shots that several batches have: one at a time works on each, and what is done is not done twice."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backend.batch.record import made_from, read_record, write_record
from backend.batch.run_shot import clear_up, run_shot
from backend.batch.shot import Task
from backend.batch.shot_lock import Busy, shot_lock
from blender_addon.contract.errors import ErrorCode, MienError
from tests.backend.batch.conftest import with_options


@pytest.fixture
def task(tmp_path, common) -> Task:
    source = tmp_path / "a.mov"
    source.write_bytes(b"no clip")
    (tmp_path / "out" / "a").mkdir(parents=True)
    shot = replace(with_options(common, source=str(source)), name="a")
    return Task(shot, str(tmp_path / "out"), 1, None, "conform", str(tmp_path / "stop"))


@pytest.fixture
def folder(task, tmp_path):
    return task.shot.folder(tmp_path / "out")


def test_one_that_another_process_has_is_left_alone(task, folder, record):
    write_record(folder, record)
    (folder / ".mien-half").mkdir()
    with shot_lock(folder):
        with pytest.raises(Busy):
            run_shot(task, None)  # type: ignore[arg-type]
        with pytest.raises(Busy), shot_lock(folder, patience=0.2):
            pass
        clear_up(task)
    assert read_record(folder) == record and (folder / ".mien-half").exists()
    clear_up(task)
    assert not (folder / ".mien-half").exists()


def test_what_another_batch_has_done_since_is_taken(task, folder, record):
    theirs = replace(record, made_from=made_from(task.shot, task.timing), files={})
    write_record(folder, theirs)
    assert run_shot(task, None) == theirs  # type: ignore[arg-type]
    known = replace(task, known=theirs.ended)  # it was planned to be done again all the same
    assert run_shot(known, None).state == "failed"  # type: ignore[arg-type]
    write_record(folder, theirs)
    other = replace(task, timing="source")
    assert run_shot(other, None).state == "failed"  # type: ignore[arg-type]


def test_a_place_without_locks_is_explained(tmp_path, monkeypatch):
    def none(path, waiting):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("backend.batch.shot_lock.exclusive", none)
    with pytest.raises(MienError, match="cannot be locked: Function not implemented") as caught, shot_lock(tmp_path):
        pass
    assert caught.value.code is ErrorCode.NOT_PERMITTED
