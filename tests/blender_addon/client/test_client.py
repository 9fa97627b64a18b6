# SPDX-License-Identifier: GPL-3.0-or-later
"""A real client with a real backend process, whose capture alone is made up."""

from __future__ import annotations

import os
import signal
import sys
import time

import numpy as np
import pytest

from blender_addon.client.capture import MOST_RESTARTS
from blender_addon.client.events import (
    BackendRestarted,
    CaptureFailed,
    CaptureFinished,
    ClientState,
    HeadReady,
    JobsListed,
    ModelsListed,
    OverlayReady,
    Progress,
    RequestFailed,
    StateChanged,
)
from blender_addon.client.jobs import Client
from blender_addon.client.launch import ClientSettings
from blender_addon.client.process import ChildCommand
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.options import CaptureOptions
from blender_addon.contract.places import BackendRecord, jobs_dir, write_backend_record
from blender_addon.contract.take import Take
from tests.client_driver import driving, fake_command, source
from tests.fake_takes import HEAD_SHA256, same_arrays, small_head, small_take

pytestmark = pytest.mark.usefixtures("mien_home")
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals")


def runs(path) -> int:
    """How often the fake capture ran."""
    return len(path.read_text().splitlines())


def test_a_capture_starts_the_backend_and_brings_takes_head_and_report(tmp_path):
    with driving(tmp_path) as driver:
        assert driver.client.state is ClientState.STOPPED
        options = source(tmp_path, takes=2)
        job = driver.client.capture(options)
        seen = []
        finished = driver.until(lambda event: seen.append(event) or isinstance(event, CaptureFinished))
        assert finished.job == job
        assert finished.report["faces"] == 2
        for person, take in enumerate(finished.takes, start=1):
            assert same_arrays(take, small_take(person, options.source))
        assert same_arrays(driver.client.head(HEAD_SHA256), small_head())
        states = [event.state for event in seen if isinstance(event, StateChanged)]
        assert states[0] is ClientState.STARTING
        assert any(isinstance(event, HeadReady) and event.path.is_file() for event in seen)
        driver.events = [*seen, *driver.events]
        ready = driver.until(lambda event: isinstance(event, StateChanged) and event.state is ClientState.READY)
        assert ready.message == "Ready on Fake"


def test_the_backends_heads_are_listed_once_it_is_ready(tmp_path):
    with driving(tmp_path) as driver:
        driver.client.start()
        (status,) = driver.wait_for(ModelsListed).models.heads
        assert (status.id, status.sha256, status.ready) == ("open", HEAD_SHA256, True)
        assert driver.client.models.heads == (status,)
        assert driver.client.device == "Fake"


def test_the_head_is_fetched_once_for_all_sessions(tmp_path):
    with driving(tmp_path) as driver:
        driver.client.capture(source(tmp_path))
        driver.wait_for(HeadReady)
        driver.wait_for(CaptureFinished)
        driver.client.capture(source(tmp_path))
        driver.wait_for(CaptureFinished)
        assert not any(isinstance(event, HeadReady) for event in driver.events)
    with driving(tmp_path) as driver:
        driver.client.capture(source(tmp_path))
        driver.until(lambda event: isinstance(event, CaptureFinished))
        assert driver.client.head(HEAD_SHA256) is not None


def test_overlay_follows_on_request(tmp_path):
    with driving(tmp_path) as driver:
        job = driver.client.capture(source(tmp_path))
        driver.wait_for(CaptureFinished)
        driver.client.request_overlay(job)
        overlay = driver.wait_for(OverlayReady)
        np.testing.assert_array_equal(overlay.pixels, np.full((4, 6, 3), 7, np.uint8))
    with driving(tmp_path) as driver:
        driver.client.start()
        driver.client.request_overlay(job)
        assert driver.wait_for(OverlayReady).job == job, "it was kept on disk"


def test_an_overlay_that_is_asked_for_twice_comes_once(tmp_path):
    with driving(tmp_path) as driver:
        job = driver.client.capture(source(tmp_path))
        driver.wait_for(CaptureFinished)
        driver.client.request_overlay(job)
        driver.pump()
        driver.client.request_overlay(job)
        driver.wait_for(OverlayReady)
        driver.client.list_jobs()
        driver.until(lambda event: isinstance(event, JobsListed))
        assert not driver.events


@pytest.mark.parametrize("failing", [True, False])
def test_an_overlay_that_cannot_be_had_is_told(tmp_path, failing):
    with driving(tmp_path) as driver:
        job = driver.client.capture(source(tmp_path, bad_overlay=failing))
        driver.wait_for(CaptureFinished)
        if not failing:
            driver.client.restart()  # before it was drawn
        driver.client.request_overlay(job)
        failed = driver.wait_for(RequestFailed)
        assert failed.job == job
        assert failed.error.code is (ErrorCode.INTERNAL if failing else ErrorCode.NO_SUCH_JOB)
        driver.client.capture(source(tmp_path))
        driver.wait_for(CaptureFinished)


def test_the_states_while_models_load(tmp_path, monkeypatch):
    monkeypatch.setenv("FAKE_LOAD_SECONDS", "0.6")
    with driving(tmp_path) as driver:
        driver.client.start()
        driver.until(lambda event: isinstance(event, StateChanged) and event.message == "Loading models…")
        driver.until(lambda event: isinstance(event, StateChanged) and event.state is ClientState.READY)


def test_models_that_cannot_be_loaded_are_told_and_fail_the_capture(tmp_path, monkeypatch):
    monkeypatch.setenv("FAKE_PROBLEM", "The models cannot be fetched.")
    with driving(tmp_path) as driver:
        job = driver.client.capture(source(tmp_path))
        failed = driver.wait_for(CaptureFailed)
        assert (failed.job, failed.error.code) == (job, ErrorCode.NO_NETWORK)
        assert driver.client.state is ClientState.FAILED
        assert driver.client.error.remedy == "Connect to the network."


def test_an_error_of_the_capture_arrives_with_its_remedy(tmp_path):
    with driving(tmp_path) as driver:
        options = source(tmp_path, error=True)
        driver.client.capture(options)
        failed = driver.wait_for(CaptureFailed)
        assert failed.error.code is ErrorCode.NO_FACE
        assert failed.error.message == f"No face in {options.source}."
        assert failed.error.remedy == "Use another photo."


def test_an_unexpected_error_refers_to_the_log(tmp_path, mien_home):
    with driving(tmp_path) as driver:
        driver.client.capture(source(tmp_path, crash=True))
        failed = driver.wait_for(CaptureFailed)
        assert failed.error.code is ErrorCode.INTERNAL
        log = (mien_home / "logs" / "backend.log").read_text()
        assert failed.error.details["reference"] in failed.error.remedy
        assert f"[{failed.error.details['reference']}]" in log
        assert "ZeroDivisionError: made up" in log
        driver.client.capture(source(tmp_path))
        assert driver.wait_for(CaptureFinished), "the backend lives on"


def test_progress_is_reported(tmp_path):
    with driving(tmp_path) as driver:
        driver.client.capture(source(tmp_path, takes=3, pause=0.2))
        first = driver.until(lambda event: isinstance(event, Progress) and event.stage == "fit")
        assert 0 < first.done < 1
        assert driver.client.state is ClientState.BUSY
        driver.wait_for(CaptureFinished)


def test_cancel_in_the_middle_of_a_job(tmp_path):
    with driving(tmp_path) as driver:
        job = driver.client.capture(source(tmp_path, takes=50, pause=0.1))
        driver.until(lambda event: isinstance(event, Progress) and event.stage == "fit")
        driver.client.cancel(job)
        failed = driver.wait_for(CaptureFailed, patience=5)
        assert failed.error.code is ErrorCode.CANCELLED
        assert 1 <= len(failed.takes) < 50, "what was done stays"
        driver.client.capture(source(tmp_path))
        driver.wait_for(CaptureFinished)


def test_cancel_before_the_backend_runs(tmp_path):
    with driving(tmp_path) as driver:
        job = driver.client.capture(source(tmp_path))
        driver.client.cancel(job)
        assert driver.wait_for(CaptureFailed).error.code is ErrorCode.CANCELLED


def test_a_queued_job_is_cancelled_at_once(tmp_path):
    with driving(tmp_path) as driver:
        driver.client.capture(source(tmp_path, takes=2, pause=30))
        count = tmp_path / "count"
        waiting = driver.client.capture(source(tmp_path, count=str(count)))
        driver.until(lambda event: isinstance(event, Progress) and event.job == waiting)
        driver.client.cancel(waiting)
        failed = driver.wait_for(CaptureFailed, patience=5)
        assert failed.job == waiting
        assert not count.exists()


@posix
def test_a_photo_goes_on_after_its_backend_was_killed(tmp_path):
    with driving(tmp_path) as driver:
        count = tmp_path / "count"
        job = driver.client.capture(source(tmp_path, takes=4, pause=0.3, count=str(count), vary=True))
        driver.until(lambda event: isinstance(event, Progress) and event.message == "Face 2")
        killed = driver.client.pid
        os.kill(killed, signal.SIGKILL)
        restarted = driver.wait_for(BackendRestarted)
        assert restarted.error.code is ErrorCode.BACKEND_DIED
        assert restarted.jobs == (job,)
        saved = sorted((jobs_dir() / job).glob("take_*.npz"))
        assert len(saved) >= 2
        assert [Take.load(path).meta.person for path in saved] == list(range(1, len(saved) + 1))
        assert not list((jobs_dir() / job).glob("*.tmp")), "nothing half-written"
        finished = driver.wait_for(CaptureFinished)
        assert [take.meta.person for take in finished.takes] == [1, 2, 3, 4]
        assert runs(count) == 2
        assert [round(float(take.confidence[0]), 1) for take in finished.takes] == [0.2] * 4, "all of the second run"
        assert driver.client.pid not in (None, killed)
        assert not any(isinstance(event, StateChanged) and event.state is ClientState.FAILED for event in driver.seen)


@posix
def test_a_backend_that_dies_with_nothing_to_do_is_told_and_left_alone(tmp_path):
    with driving(tmp_path) as driver:
        driver.client.capture(source(tmp_path))
        driver.wait_for(CaptureFinished)
        os.kill(driver.client.pid, signal.SIGKILL)
        driver.until(lambda event: isinstance(event, StateChanged) and event.state is ClientState.FAILED)
        assert driver.client.error.code is ErrorCode.BACKEND_DIED
        assert driver.client.pid is None
        driver.client.capture(source(tmp_path))
        driver.wait_for(CaptureFinished)


@posix
def test_a_backend_that_kills_itself_in_a_job_does_not_take_the_next_one_with_it(tmp_path):
    with driving(tmp_path) as driver:
        driver.client.capture(source(tmp_path, die=int(signal.SIGSEGV)))
        failed = driver.wait_for(CaptureFailed)
        assert failed.error.code is ErrorCode.BACKEND_DIED
        assert "SIGSEGV" in failed.error.message
        assert [type(event) for event in driver.seen].count(BackendRestarted) == MOST_RESTARTS + 1
        driver.client.capture(source(tmp_path))
        driver.wait_for(CaptureFinished)


def test_a_finished_job_is_not_run_again(tmp_path):
    with driving(tmp_path) as driver:
        count = tmp_path / "count"
        options = source(tmp_path, count=str(count))
        job = driver.client.capture(options)
        driver.wait_for(CaptureFinished)
        driver.client.retry(job)
        again = driver.wait_for(CaptureFinished)
        assert same_arrays(again.takes[0], small_take(1, options.source))
        assert again.report["faces"] == 1
        assert runs(count) == 1
    with driving(tmp_path) as driver:
        driver.client.capture(options, job)
        again = driver.wait_for(CaptureFinished)
        assert same_arrays(again.takes[0], small_take(1, options.source))
        assert runs(count) == 1, "it came from the disk"


def test_a_sleeping_client_loses_nothing(tmp_path):
    with driving(tmp_path) as driver:
        driver.client.start()
        driver.until(lambda event: isinstance(event, StateChanged) and event.state is ClientState.READY)
        job = driver.client.capture(source(tmp_path, takes=1000))
        driver.pump()
        time.sleep(3)  # as during a render in Blender
        finished = driver.wait_for(CaptureFinished)
        assert finished.job == job
        assert [take.meta.person for take in finished.takes] == list(range(1, 1001))


def test_restart_while_a_job_runs(tmp_path):
    with driving(tmp_path) as driver:
        job = driver.client.capture(source(tmp_path, stubborn=60))
        driver.until(lambda event: isinstance(event, Progress) and event.stage == "start")
        old = driver.client.pid
        driver.client.restart()
        assert driver.wait_for(CaptureFailed).job == job
        driver.until(lambda event: isinstance(event, StateChanged) and event.state is ClientState.READY)
        assert driver.client.pid != old


def test_no_backend_installed(tmp_path):
    client = Client(ClientSettings(tmp_path / "heads"))
    job = client.capture(CaptureOptions("a.jpg"))
    events = client.pump(0.0)
    failed = next(event for event in events if isinstance(event, CaptureFailed))
    assert (failed.job, failed.error.code) == (job, ErrorCode.SETUP_FAILED)
    assert client.message == "The backend is not installed"


def test_the_record_names_a_python_that_is_gone(tmp_path):
    write_backend_record(BackendRecord(str(tmp_path / "python"), str(tmp_path), "0.1.0"))
    client = Client(ClientSettings(tmp_path / "heads"))
    client.start()
    client.pump(0.0)
    assert client.state is ClientState.FAILED
    assert client.error.code is ErrorCode.SETUP_FAILED
    assert "python" in client.error.message


@pytest.mark.parametrize(
    ("code", "error", "phrase"),
    [
        ("raise MemoryError('no memory left')", ErrorCode.BACKEND_DIED, "out of memory"),
        ("import no_such_package", ErrorCode.SETUP_FAILED, "no_such_package"),
        ("raise SystemExit(7)", ErrorCode.BACKEND_DIED, "exit status 7"),
        ("import sys; print('boom', file=sys.stderr); sys.exit(3)", ErrorCode.BACKEND_DIED, "boom"),
        ("""print('{"protocol": 99, "port": 1}', flush=True); input()""", ErrorCode.VERSION_MISMATCH, "protocol 99"),
        ("print('nonsense', flush=True); input(); input()", ErrorCode.VERSION_MISMATCH, "protocol None"),
        (
            """print('{"error": {"code": "no_space", "message": "Full.", "remedy": "Free some."}}'); exit(3)""",
            ErrorCode.NO_SPACE,
            "Full",
        ),
    ],
)
def test_a_backend_that_does_not_start_says_why(tmp_path, code, error, phrase):
    command = ChildCommand([sys.executable, "-c", code], str(tmp_path))
    with driving(tmp_path, command=command) as driver:
        driver.client.start()
        driver.until(lambda event: isinstance(event, StateChanged) and event.state is ClientState.FAILED)
        assert driver.client.error.code is error
        assert phrase in driver.client.error.message
        assert driver.client.error.remedy


def test_close_ends_the_process(tmp_path):
    with driving(tmp_path, command=fake_command()) as driver:
        driver.client.start()
        driver.until(lambda event: isinstance(event, StateChanged) and event.state is ClientState.READY)
        driver.client.close()
        assert driver.client.state is ClientState.STOPPED
        assert driver.client.pid is None
        driver.pump()
        assert driver.client.pid is None, "it stays stopped until it is needed"


def test_only_captures_of_this_client_are_retried(tmp_path):
    with pytest.raises(MienError) as caught:
        Client(ClientSettings(tmp_path)).retry("a" * 32)
    assert caught.value.code is ErrorCode.NO_SUCH_JOB
