# SPDX-License-Identifier: GPL-3.0-or-later
"""Previews of clips, and live captures, as a client may ask for them, kindly or not."""

from __future__ import annotations

import os
import signal
import sys
import time
import uuid
from collections.abc import Iterator

import pytest

from backend.server.folder import JobFolder
from backend.server.job import LOOKING_SECONDS
from blender_addon.contract import messages as m
from blender_addon.contract.errors import ErrorCode
from blender_addon.contract.messages import LiveAction
from blender_addon.contract.options import CaptureOptions
from blender_addon.contract.places import jobs_dir
from tests.backend.server.fake_clip import lines
from tests.backend.server.raw import PATIENCE_MS, Raw, backend, raw
from tests.client_driver import source

pytestmark = pytest.mark.usefixtures("mien_home")
LIVE = {"live": True}


@pytest.fixture
def service() -> Iterator[Raw]:
    """A connection to a backend."""
    with backend() as child, raw(child.told()["endpoint"], child.server.public, child.client) as connection:
        connection.process = child.process
        yield connection


def submit(connection: Raw, options: CaptureOptions, attempt: int = 1, job: str = "") -> str:
    """Submit a job; returns its id."""
    job = job or uuid.uuid4().hex
    assert isinstance(connection.ask(m.Submit(job, options, attempt)), m.Status)
    return job


def next_preview(connection: Raw, job: str, after: int) -> m.Preview:
    """Wait for a newer preview."""
    end = time.monotonic() + PATIENCE_MS / 1000
    while time.monotonic() < end:
        reply = connection.ask(m.GetPreview(job, after, m.MAX_WAIT_MS))
        if reply.takes:
            return reply
    raise AssertionError("no preview")


def wait_for_lines(path, count: int) -> list[str]:
    """Wait until a file has so many lines."""
    end = time.monotonic() + PATIENCE_MS / 1000
    while time.monotonic() < end:
        if len(found := lines(path)) >= count:
            return found
        time.sleep(0.005)
    raise AssertionError(f"{path} has {lines(path)}")


def test_previews_are_numbered_and_the_newest_is_sent(service, tmp_path):
    job = submit(service, source(tmp_path, frames=1000, frame_seconds=0.01, solved=str(tmp_path / "solved")))
    first = next_preview(service, job, 0)
    assert first.status.preview >= 1
    assert first.takes[0].extra["frame"].tolist() == [first.status.preview - 1]
    wait_for_lines(tmp_path / "solved", first.status.preview + 10)
    later = next_preview(service, job, first.status.preview)
    assert later.status.preview >= first.status.preview + 9, "those in between are left out"
    assert later.takes[0].extra["frame"].tolist() == [later.status.preview - 1]
    assert later.status.frames.total == 1000
    assert later.status.frames.done >= later.status.preview
    service.ask(m.Cancel(job))
    status = service.until_final(job)
    assert status.preview == 0
    assert service.ask(m.GetPreview(job, 0, m.MAX_WAIT_MS)).takes == (), "cleared, and not waited for"


def test_a_preview_that_is_not_there_yet_is_waited_for(service, tmp_path):
    job = submit(service, source(tmp_path, frames=2, frame_seconds=0.4, solved=str(tmp_path / "solved")))
    number = service.send(m.GetPreview(job, 0, m.MAX_WAIT_MS))
    assert service.ask_past(m.GetStatus(job), number).status.preview == 0, "it does not stand in the way"
    answered, reply = service.receive()
    assert (answered, reply.status.preview, len(reply.takes)) == (number, 1, 1)
    assert service.ask(m.GetPreview(job, 1, 0)).takes == (), "nothing newer, and no patience"


def test_previews_are_made_for_those_who_look_only(service, tmp_path):
    options = source(tmp_path, frames=10_000, frame_seconds=0.01, solved=str(tmp_path / "solved"), shy=True)
    job = submit(service, options)
    next_preview(service, job, 0)
    end = time.monotonic() + LOOKING_SECONDS + 0.5
    while time.monotonic() < end:
        before = service.ask(m.GetStatus(job)).status.preview
        time.sleep(0.2)
    assert service.ask(m.GetStatus(job)).status.preview == before, "nobody looked any more"
    assert next_preview(service, job, before).takes


def test_a_finished_clip_tells_how_many_frames_it_had_after_a_restart_too(service, tmp_path):
    job = submit(service, source(tmp_path, frames=3, solved=str(tmp_path / "solved")))
    service.until_final(job)
    with backend() as other, raw(other.told()["endpoint"], other.server.public, other.client) as connection:
        results = connection.ask(m.GetResults(job, 0, 1))
        assert (results.status.frames.done, results.status.frames.total) == (3, 3)
        assert results.takes[0].extra["frame"].tolist() == [0, 1, 2]


def test_a_live_capture_records_what_it_is_told_to(service, tmp_path):
    job = submit(service, source(tmp_path, LIVE, log=str(tmp_path / "log")))
    seen = next_preview(service, job, 0).status.preview
    number = 1
    for _ in range(2):
        service.ask(m.ControlLive(job, LiveAction.RECORD, number))
        seen = next_preview(service, job, seen + 5).status.preview
        service.ask(m.ControlLive(job, LiveAction.STOP_RECORDING, number + 1))
        number += 2
    wait_for_lines(tmp_path / "log", 4)
    kept = service.ask(m.GetResults(job, 0, 2, m.MAX_WAIT_MS))
    assert kept.status.state is m.JobState.RUNNING
    assert kept.takes, "a recording is there as soon as it ends"
    service.ask(m.ControlLive(job, LiveAction.NEUTRAL, number))
    service.ask(m.ControlLive(job, LiveAction.END, number + 1))
    assert service.until_final(job).state is m.JobState.FINISHED
    results = service.ask(m.GetResults(job, 0, 10))
    assert [take.meta.person for take in results.takes] == [1, 2]
    assert all(len(take) > 1 for take in results.takes)
    assert results.report == {"recordings": 2}
    assert lines(tmp_path / "log") == ["record", "stop_recording", "record", "stop_recording", "neutral", "end"]


def test_an_action_that_arrives_twice_is_done_once(service, tmp_path):
    job = submit(service, source(tmp_path, LIVE, log=str(tmp_path / "log")))
    for _ in range(3):
        service.ask(m.ControlLive(job, LiveAction.NEUTRAL, 7))
    service.ask(m.ControlLive(job, LiveAction.FORGET_NEUTRAL, 8))
    service.ask(m.ControlLive(job, LiveAction.END, 9))
    service.until_final(job)
    assert lines(tmp_path / "log") == ["neutral", "forget_neutral", "end"]
    assert isinstance(service.ask(m.ControlLive(job, LiveAction.END, 9)), m.Status), "its reply was lost"
    assert service.ask(m.ControlLive(job, LiveAction.RECORD, 10)).code is ErrorCode.USAGE


def test_what_is_not_live_is_not_controlled(service, tmp_path):
    job = submit(service, source(tmp_path, takes=1, pause=30))
    refused = service.ask(m.ControlLive(job, LiveAction.END, 1))
    assert refused.code is ErrorCode.USAGE
    assert refused.remedy
    assert service.ask(m.ControlLive("a" * 32, LiveAction.END, 1)).code is ErrorCode.NO_SUCH_JOB


def test_other_jobs_wait_behind_a_live_one_which_can_wait_too(service, tmp_path):
    live = submit(service, source(tmp_path, LIVE, log=str(tmp_path / "log")))
    photo = submit(service, source(tmp_path))
    second = submit(service, source(tmp_path, LIVE, log=str(tmp_path / "second")))
    next_preview(service, live, 0)
    assert service.ask(m.GetStatus(photo)).status.state is m.JobState.QUEUED
    service.ask(m.ControlLive(second, LiveAction.NEUTRAL, 1))
    service.ask(m.ControlLive(live, LiveAction.END, 1))
    assert service.until_final(photo).state is m.JobState.FINISHED
    assert wait_for_lines(tmp_path / "second", 1) == ["neutral"], "asked for while it waited"
    service.ask(m.Cancel(second))
    assert service.until_final(second).state is m.JobState.CANCELLED


def test_a_live_capture_that_nobody_watches_ends_and_keeps_its_recording(tmp_path, monkeypatch):
    monkeypatch.setenv("FAKE_UNWATCHED_SECONDS", "0.8")
    with backend() as child, raw(child.told()["endpoint"], child.server.public, child.client) as connection:
        job = submit(connection, source(tmp_path, LIVE, log=str(tmp_path / "log")))
        seen = next_preview(connection, job, 0).status.preview
        connection.ask(m.ControlLive(job, LiveAction.RECORD, 1))
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            seen = next_preview(connection, job, seen).status.preview
        assert lines(tmp_path / "log") == ["record"], "it is watched"
        assert connection.until_final(job).state is m.JobState.FINISHED
        assert lines(tmp_path / "log") == ["record", "end"]
        assert connection.ask(m.GetStatus(job)).status.takes == 1


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_recordings_survive_a_killed_backend_and_are_never_recorded_over(service, tmp_path):
    options = source(tmp_path, LIVE, log=str(tmp_path / "log"))
    job = submit(service, options)
    for number, action in enumerate([LiveAction.RECORD, LiveAction.STOP_RECORDING, LiveAction.RECORD], start=1):
        service.ask(m.ControlLive(job, action, number))
        next_preview(service, job, 5 * number)
    os.kill(service.process.pid, signal.SIGKILL)
    service.process.wait(10)
    with backend() as other, raw(other.told()["endpoint"], other.server.public, other.client) as connection:
        assert connection.ask(m.Submit(job, options, 2)).status.state is m.JobState.INTERRUPTED
        results = connection.ask(m.GetResults(job, 0, 5))
        assert [take.meta.person for take in results.takes] == [1]
        assert results.status.attempt == 1
        assert connection.ask(m.ControlLive(job, LiveAction.END, 9)).code is ErrorCode.USAGE


def test_a_job_of_another_process_is_neither_controlled_nor_cancelled(service, tmp_path):
    job = submit(service, source(tmp_path, LIVE, log=str(tmp_path / "log")))
    next_preview(service, job, 0)
    with backend() as other, raw(other.told()["endpoint"], other.server.public, other.client) as connection:
        assert connection.ask(m.GetStatus(job)).status.state is m.JobState.RUNNING
        assert connection.ask(m.ControlLive(job, LiveAction.END, 1)).code is ErrorCode.NOT_PERMITTED
        assert connection.ask(m.Cancel(job)).code is ErrorCode.NOT_PERMITTED
        assert connection.ask(m.GetPreview(job, 0, 0)).takes == ()
    assert service.ask(m.GetStatus(job)).status.state is m.JobState.RUNNING


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_clip_goes_on_at_the_next_frame_after_a_kill(service, tmp_path):
    options = source(tmp_path, frames=40, frame_seconds=0.02, solved=str(tmp_path / "solved"))
    job = submit(service, options)
    next_preview(service, job, 8)
    os.kill(service.process.pid, signal.SIGKILL)
    service.process.wait(10)
    before = len(lines(tmp_path / "solved"))
    assert 8 <= before < 40
    assert JobFolder(jobs_dir() / job).read_state().state is m.JobState.RUNNING
    with backend() as other, raw(other.told()["endpoint"], other.server.public, other.client) as connection:
        assert connection.ask(m.GetStatus(job)).status.state is m.JobState.INTERRUPTED
        submit(connection, options, attempt=2, job=job)
        assert next_preview(connection, job, 0).takes[0].extra["frame"][0] >= before, "counted from 1 again"
        assert connection.until_final(job).state is m.JobState.FINISHED
        results = connection.ask(m.GetResults(job, 0, 1))
        assert results.report["frames"] == list(range(40)), "each once"
        assert results.takes[0].extra["frame"].tolist() == list(range(40))
