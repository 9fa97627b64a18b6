# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import errno
import os
import subprocess
import sys
import uuid
from dataclasses import replace

import pytest

from backend.server import folder as folder_module
from backend.server import jobs as jobs_module
from backend.server.folder import JobFolder
from backend.server.jobs import KEEP_JOBS, KEEP_SECONDS, JobTable
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.messages import JobState, Submit
from blender_addon.contract.options import CaptureOptions
from tests.fake_takes import same_arrays, small_take

OPTIONS = CaptureOptions("photo.jpg")


@pytest.fixture
def table(tmp_path) -> JobTable:
    return JobTable(tmp_path, lambda: None)


def request(**changes) -> Submit:
    return Submit(uuid.uuid4().hex, OPTIONS, **changes)


def run(table: JobTable, wanted: Submit, takes: int = 1) -> None:
    table.submit(wanted)
    job = table.next()
    table.finish(job, [small_take(person) for person in range(1, takes + 1)], {"n": takes})


def test_a_job_goes_its_way(table):
    wanted = request()
    assert table.submit(wanted).state is JobState.QUEUED
    job = table.next()
    assert table.get(wanted.job).status.state is JobState.RUNNING
    table.progress(job, "fit", 7.0, "Fitting")
    assert table.get(wanted.job).status.done == 1.0
    table.keep(job, small_take(1))
    assert table.get(wanted.job).status.takes == 1
    table.finish(job, [small_take(2)], {"n": 2})
    status = table.get(wanted.job).status
    assert (status.state, status.takes, status.error) == (JobState.FINISHED, 2, None)


def test_another_process_finds_finished_jobs(table, tmp_path):
    wanted = request()
    run(table, wanted, takes=2)
    found = JobTable(tmp_path, lambda: None).get(wanted.job)
    assert found.status == table.get(wanted.job).status
    assert found.report == {"n": 2}
    assert [take.meta.person for take in found.takes] == [1, 2]
    assert found.spec.options == OPTIONS


@pytest.mark.parametrize("running", [False, True])
def test_what_a_dead_process_left_is_interrupted_and_can_go_on(table, tmp_path, running):
    wanted = request()
    table.submit(wanted)
    if running:
        table.keep(table.next(), small_take(1))
    table.get(wanted.job).folder.unlock()  # as the system does when a process ends
    other = JobTable(tmp_path, lambda: None)
    assert other.get(wanted.job).status.state is JobState.INTERRUPTED
    assert other.list()[0].status.state is JobState.INTERRUPTED
    assert other.submit(wanted).state is JobState.INTERRUPTED, "a repeated request changes nothing"
    again = Submit(wanted.job, OPTIONS, attempt=2)
    assert other.submit(again).takes == int(running)
    job = other.next()
    other.finish(job, [small_take(1), small_take(2)], {})
    assert [take.meta.person for take in other.get(wanted.job).takes] == [1, 2], "nothing twice"


def test_a_job_of_another_living_process_is_left_alone(tmp_path):
    job = uuid.uuid4().hex
    code = (
        "import sys; from pathlib import Path; from backend.server.jobs import JobTable\n"
        "from blender_addon.contract.messages import Submit\n"
        "from blender_addon.contract.options import CaptureOptions\n"
        f"table = JobTable(Path({str(tmp_path)!r}), lambda: None)\n"
        f"table.submit(Submit({job!r}, CaptureOptions('photo.jpg')))\n"
        "print('ready', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"ready\n"
        table = JobTable(tmp_path, lambda: None, clock=lambda: 1e12)
        assert table.get(job).status.state is JobState.QUEUED
        table.prune()
        assert table.get(job).status.state is JobState.QUEUED, "too old, but in use"
        assert table.submit(Submit(job, OPTIONS, attempt=2)).state is JobState.QUEUED
        other.stdin.close()
        other.wait(10)
        assert table.get(job).status.state is JobState.INTERRUPTED
        table.prune()
        with pytest.raises(MienError):
            table.get(job)


def test_cancelled_while_queued(table):
    wanted = request()
    table.submit(wanted)
    assert table.cancel(wanted.job).state is JobState.CANCELLED
    following = request()
    table.submit(following)
    assert table.next().folder.job == following.job


def test_old_and_surplus_jobs_are_deleted(table, tmp_path, monkeypatch):
    wanted = [request() for _ in range(4)]
    for each in wanted:
        run(table, each)
    table.prune()
    assert len(table.list()) == 4
    assert KEEP_JOBS > 4
    monkeypatch.setattr(jobs_module, "KEEP_JOBS", 2)
    table.prune()
    assert len(table.list()) == 2
    late = JobTable(tmp_path, lambda: None, clock=lambda: 1e12 + KEEP_SECONDS)
    late.prune()
    assert late.list() == ()
    assert list(tmp_path.iterdir()) == []


def test_takes_of_many_jobs_do_not_fill_the_memory(table):
    wanted = [request() for _ in range(30)]
    for each in wanted:
        run(table, each)
    for each in wanted:
        assert same_arrays(table.get(each.job).takes[0], small_take(1))
    finder = JobTable(wanted and table._root, lambda: None)
    for each in wanted:
        finder.get(each.job)
    assert len(finder._jobs) < 30


def test_damaged_jobs_are_left_out_of_the_list(table, tmp_path):
    wanted = request()
    run(table, wanted)
    (tmp_path / wanted.job / "state.json").write_text("{")
    other = JobTable(tmp_path, lambda: None)
    assert other.list() == ()
    with pytest.raises(MienError) as caught:
        other.get(wanted.job)
    assert "state.json" in caught.value.message


def test_a_submission_that_cannot_be_written_leaves_nothing(table, tmp_path, monkeypatch):
    def full(self, status):
        raise MienError(ErrorCode.NO_SPACE, "Full.", "Free some.")

    monkeypatch.setattr(JobFolder, "write_state", full)
    wanted = request()
    with pytest.raises(MienError):
        table.submit(wanted)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    assert table.submit(wanted).state is JobState.QUEUED


def test_a_failure_keeps_its_error(table, tmp_path):
    wanted = request()
    table.submit(wanted)
    table.end(table.next(), JobState.FAILED, MienError(ErrorCode.NO_FACE, "No face.", "Use another.", {"n": 1}))
    error = JobTable(tmp_path, lambda: None).get(wanted.job).status.error.to_error()
    assert (error.code, error.message, error.remedy, error.details) == ("no_face", "No face.", "Use another.", {"n": 1})


def test_a_job_that_could_not_be_queued_again_is_let_go(table, monkeypatch):
    wanted = request()
    table.submit(wanted)
    table.end(table.next(), JobState.FAILED, MienError(ErrorCode.NO_SPACE, "Full.", "Free some."))
    again = replace(wanted, attempt=2)

    def full(self, status):
        raise MienError(ErrorCode.NO_SPACE, "Full.", "Free some.")

    with monkeypatch.context() as patch, pytest.raises(MienError) as caught:
        patch.setattr(JobFolder, "write_state", full)
        table.submit(again)
    assert caught.value.code is ErrorCode.NO_SPACE
    assert table.submit(again).state is JobState.QUEUED


def test_a_full_disk_is_told_at_the_lock_too(table, monkeypatch):
    def full(path, waiting):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(folder_module, "exclusive", full)
    with pytest.raises(MienError) as caught:
        table.submit(request())
    assert caught.value.code is ErrorCode.NO_SPACE


def test_a_job_that_ends_while_another_process_looks_is_not_interrupted(table, tmp_path, monkeypatch):
    wanted = request()
    table.submit(wanted)
    job = table.next()
    lock = JobFolder.lock

    def late_lock(self):
        monkeypatch.undo()
        table.finish(job, [small_take(1)], {})
        lock(self)

    monkeypatch.setattr(JobFolder, "lock", late_lock)
    status = JobTable(tmp_path, lambda: None).get(wanted.job).status
    assert (status.state, status.takes) == (JobState.FINISHED, 1)


def test_too_many_waiting_jobs_are_refused(table, monkeypatch):
    monkeypatch.setattr(jobs_module, "MAX_WAITING", 2)
    first, second = request(), request()
    table.submit(first)
    table.submit(second)
    with pytest.raises(MienError) as caught:
        table.submit(request())
    assert caught.value.code is ErrorCode.TOO_LARGE
    assert table.submit(first).state is JobState.QUEUED, "a repeated request is answered as before"
    table.cancel(first.job)
    table.submit(request())


def test_what_a_cut_off_submission_left_is_deleted_and_nothing_else(tmp_path):
    (tmp_path / uuid.uuid4().hex).mkdir()
    (tmp_path / "holidays").mkdir()
    JobTable(tmp_path, lambda: None).prune()
    assert len(list(tmp_path.iterdir())) == 2, "it may be about to be written"
    JobTable(tmp_path, lambda: None, clock=lambda: 1e12).prune()
    assert [path.name for path in tmp_path.iterdir()] == ["holidays"]


def test_a_job_that_vanishes_while_old_ones_are_looked_for(tmp_path):
    assert JobFolder(tmp_path / "gone").touched() == 0.0


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_other_users_cannot_open_a_job(table, tmp_path):
    wanted = request()
    table.submit(wanted)
    assert (tmp_path / wanted.job).stat().st_mode & 0o077 == 0
