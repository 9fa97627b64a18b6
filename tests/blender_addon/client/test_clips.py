# SPDX-License-Identifier: GPL-3.0-or-later
"""Clips and live captures through a real client and a real backend process: previews, deaths, picking up again."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

import pytest

from backend.server.job import LOOKING_SECONDS
from blender_addon.client.capture import MOST_RESTARTS
from blender_addon.client.connection import LARGE_BYTES, Connection
from blender_addon.client.events import (
    BackendRestarted,
    CaptureFailed,
    CaptureFinished,
    ClientState,
    Event,
    HeadReady,
    JobsListed,
    PreviewReady,
    Progress,
    RequestFailed,
    StateChanged,
)
from blender_addon.client.preview import INTERVAL_SECONDS
from blender_addon.contract.errors import ErrorCode
from blender_addon.contract.messages import GetPreview, LiveAction
from blender_addon.contract.options import CaptureOptions
from tests.backend.server.fake_clip import clip_take, lines
from tests.client_driver import Driver, driving, source
from tests.fake_takes import HEAD_SHA256, same_arrays

pytestmark = pytest.mark.usefixtures("mien_home")
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals")


def clip(folder, name: str = "solved", **todo: object) -> CaptureOptions:
    """A fake clip that notes its solved frames in a file."""
    return source(folder, solved=str(folder / name), **todo)


def live(folder, **todo: object) -> CaptureOptions:
    """A fake live source that notes its actions in the file `log`."""
    return source(folder, {"live": True}, log=str(folder / "log"), **todo)


def frame_of(event: Event) -> int:
    """Which frame a preview shows."""
    return int(event.takes[0].extra["frame"][0])


def kill(driver: Driver) -> None:
    """End the backend as a full memory would."""
    os.kill(driver.client.pid, signal.SIGKILL)


def at_frame(number: int):
    """Whether an event tells that so many frames are done."""
    return lambda event: isinstance(event, Progress) and event.frames is not None and event.frames.done >= number


def test_a_clip_tells_how_far_it_is_and_shows_its_newest_frame(tmp_path):
    with driving(tmp_path) as driver:
        job = driver.client.capture(clip(tmp_path, frames=100, frame_seconds=0.01))
        finished = driver.wait_for(CaptureFinished)
        assert finished.takes[0].extra["frame"].tolist() == list(range(100))
        counts = [event.frames for event in driver.seen if isinstance(event, Progress) and event.frames]
        assert counts
        assert {count.total for count in counts} == {100}
        assert all(count.seconds_left >= 0 and count.per_second > 0 for count in counts if count.done)
        previews = [event for event in driver.seen if isinstance(event, PreviewReady)]
        shown = [frame_of(event) for event in previews]
        assert len(shown) > 1
        assert shown == sorted(set(shown)), "each once, never an older one"
        assert {event.job for event in previews} == {job}
        kinds = [type(event) for event in driver.seen]
        assert kinds.index(HeadReady) < kinds.index(PreviewReady), "its head can be built"


def test_previews_are_asked_for_one_at_a_time_and_not_too_often(tmp_path, monkeypatch):
    asked: list[tuple[float, GetPreview]] = []
    answered: list[int] = []
    usual = Connection.send

    def send(self, request, now, on_reply, *rest):
        if isinstance(request, GetPreview):
            assert len(asked) == len(answered), "one request is under way"
            asked.append((now, request))

            def answer(reply):
                answered.append(1)
                on_reply(reply)

            usual(self, request, now, answer, *rest)
        else:
            usual(self, request, now, on_reply, *rest)

    monkeypatch.setattr(Connection, "send", send)
    with driving(tmp_path) as driver:
        driver.client.capture(clip(tmp_path, frames=100, frame_seconds=0.01))
        driver.wait_for(CaptureFinished)
    times = [now for now, _ in asked]
    assert len(times) > 2
    assert min(later - earlier for earlier, later in zip(times, times[1:], strict=False)) >= INTERVAL_SECONDS
    assert all(request.wait_ms == 0 for _, request in asked)


def test_the_backend_knows_that_somebody_looks_however_long_it_loads(tmp_path):
    with driving(tmp_path) as driver:
        options = clip(tmp_path, frames=10_000, frame_seconds=0.01, loading=LOOKING_SECONDS + 0.5, shy=True)
        job = driver.client.capture(options)
        for _ in range(3):
            driver.wait_for(PreviewReady)
        driver.client.cancel(job)
        driver.wait_for(CaptureFailed)


def test_a_photo_asks_for_no_previews(tmp_path, monkeypatch):
    asked = []
    usual = Connection.send
    monkeypatch.setattr(Connection, "send", lambda self, *rest: (asked.append(rest[0]), usual(self, *rest))[1])
    with driving(tmp_path) as driver:
        driver.client.capture(source(tmp_path, takes=2, pause=0.2))
        driver.wait_for(CaptureFinished)
    assert asked
    assert not any(isinstance(request, GetPreview) for request in asked)


def test_a_sleeping_client_gets_the_newest_preview_only(tmp_path):
    with driving(tmp_path) as driver:
        driver.client.capture(clip(tmp_path, frames=10_000, frame_seconds=0.01))
        driver.wait_for(PreviewReady)
        before = len(lines(tmp_path / "solved"))
        time.sleep(1.5)  # as during a render in Blender
        late = [driver.wait_for(PreviewReady) for _ in range(3)]
        assert frame_of(late[1]) >= before + 10
        stale = [event for event in late if frame_of(event) < before + 10]
        assert len(stale) <= 1, "at most the one that was under way"


def test_several_captures_queue_in_order(tmp_path):
    with driving(tmp_path) as driver:
        jobs = [
            driver.client.capture(clip(tmp_path, f"solved{n}", frames=20, frame_seconds=0.02)) for n in range(3)
        ]
        finished = [driver.wait_for(CaptureFinished).job for _ in jobs]
        assert finished == jobs
        queued = {event.job for event in driver.seen if isinstance(event, Progress) and event.stage == "queued"}
        assert set(jobs[1:]) <= queued


@posix
def test_a_killed_backend_is_started_anew_and_no_frame_is_solved_twice(tmp_path):
    with driving(tmp_path) as driver:
        first = driver.client.capture(clip(tmp_path, frames=60, frame_seconds=0.02))
        second = driver.client.capture(clip(tmp_path, "other", frames=5))
        for _ in range(2):
            driver.until(at_frame(len(lines(tmp_path / "solved")) + 10))
            kill(driver)
            restarted = driver.wait_for(BackendRestarted)
            assert restarted.error.code is ErrorCode.BACKEND_DIED
            assert restarted.jobs == (first, second)
        finished = {event.job: event for event in (driver.wait_for(CaptureFinished), driver.wait_for(CaptureFinished))}
        assert lines(tmp_path / "solved") == [str(number) for number in range(60)]
        assert finished[first].takes[0].extra["frame"].tolist() == list(range(60))
        assert finished[second].report["frames"] == list(range(5))
        assert not any(isinstance(event, CaptureFailed) for event in driver.seen)
        shown = [frame_of(event) for event in driver.seen if isinstance(event, PreviewReady) and event.job == first]
        assert shown == sorted(shown)
        assert max(shown) >= 30, "previews go on after a restart"


@posix
def test_a_frame_that_kills_the_backend_fails_its_capture_but_no_other(tmp_path):
    with driving(tmp_path) as driver:
        bad = driver.client.capture(clip(tmp_path, frames=20, frame_seconds=0.02, die_at=10, deaths=99))
        good = driver.client.capture(clip(tmp_path, "other", frames=5))
        failed = driver.wait_for(CaptureFailed)
        assert (failed.job, failed.error.code) == (bad, ErrorCode.BACKEND_DIED)
        assert driver.wait_for(CaptureFinished).job == good
        deaths = len(lines(str(tmp_path / "solved") + ".deaths"))
        assert MOST_RESTARTS + 1 <= deaths <= MOST_RESTARTS + 3, "a few more where it is only later seen how far it got"
        assert driver.client.state is not ClientState.FAILED
        assert lines(tmp_path / "solved") == [str(number) for number in range(10)]


@posix
def test_deaths_in_a_capture_that_gets_further_each_time_are_not_counted(tmp_path):
    with driving(tmp_path) as driver:
        driver.client.capture(clip(tmp_path, frames=(MOST_RESTARTS + 3) * 5, frame_seconds=0.03))
        for death in range(MOST_RESTARTS + 2):
            driver.until(at_frame(5 * (death + 1)))
            kill(driver)
            driver.wait_for(BackendRestarted)
        driver.wait_for(CaptureFinished)


@posix
def test_a_backend_that_dies_at_each_start_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setenv("FAKE_LOADS", str(tmp_path / "loads"))
    with driving(tmp_path) as driver:
        jobs = {driver.client.capture(clip(tmp_path, frames=1000, frame_seconds=0.02)) for _ in range(2)}
        driver.until(at_frame(1))
        kill(driver)
        failed = [driver.wait_for(CaptureFailed) for _ in jobs]
        assert {event.job for event in failed} == jobs
        assert {event.error.code for event in failed} == {ErrorCode.BACKEND_DIED}
        assert driver.client.state is ClientState.FAILED
        # The first death is the clip's fault, which the backend may or may not have lived long enough to tell.
        assert len(lines(tmp_path / "loads")) in (1 + MOST_RESTARTS, 2 + MOST_RESTARTS)


@posix
def test_a_cancel_whose_backend_dies_stays_a_cancel(tmp_path):
    with driving(tmp_path) as driver:
        job = driver.client.capture(source(tmp_path, stubborn=60))
        driver.until(lambda event: isinstance(event, Progress) and event.stage == "start")
        driver.client.cancel(job)
        driver.pump()
        kill(driver)
        failed = driver.wait_for(CaptureFailed)
        assert (failed.job, failed.error.code) == (job, ErrorCode.CANCELLED)


def test_a_capture_goes_on_in_the_next_blender(tmp_path):
    options = clip(tmp_path, frames=40, frame_seconds=0.02)
    with driving(tmp_path) as driver:
        job = driver.client.capture(options)
        driver.until(at_frame(10))
    before = len(lines(tmp_path / "solved"))
    assert 10 <= before < 40
    with driving(tmp_path) as driver:
        assert driver.client.resume(job, options) == job
        finished = driver.wait_for(CaptureFinished)
        assert finished.job == job
        assert lines(tmp_path / "solved") == [str(number) for number in range(40)]
        assert not any(isinstance(event, BackendRestarted) for event in driver.seen)
    with driving(tmp_path) as driver:
        driver.client.resume(job, options)
        again = driver.wait_for(CaptureFinished)
        assert again.takes[0].extra["frame"].tolist() == list(range(40)), "fetched, not solved"


def test_a_running_capture_is_not_picked_up_twice(tmp_path):
    options = clip(tmp_path, frames=30, frame_seconds=0.02)
    with driving(tmp_path) as driver:
        job = driver.client.capture(options)
        driver.until(at_frame(5))
        driver.client.resume(job, options)
        driver.wait_for(CaptureFinished)
        assert lines(tmp_path / "solved") == [str(number) for number in range(30)]


def test_a_capture_of_another_blender_that_ends_is_taken_over(tmp_path):
    options = clip(tmp_path, frames=60, frame_seconds=0.02)
    with driving(tmp_path) as driver, driving(tmp_path) as other:
        job = other.client.capture(options)
        other.until(at_frame(5))
        driver.client.resume(job, options)
        driver.until(lambda event: isinstance(event, Progress) and event.job == job)
        other.client.close()
        driver.wait_for(CaptureFinished)
        assert lines(tmp_path / "solved") == [str(number) for number in range(60)]


def test_a_capture_of_another_blender_cannot_be_stopped(tmp_path):
    options = clip(tmp_path, frames=60, frame_seconds=0.02)
    with driving(tmp_path) as driver, driving(tmp_path) as other:
        job = other.client.capture(options)
        other.until(at_frame(5))
        driver.client.resume(job, options)
        driver.until(lambda event: isinstance(event, Progress) and event.job == job)
        driver.client.cancel(job)
        failed = driver.wait_for(CaptureFailed)
        assert (failed.job, failed.error.code) == (job, ErrorCode.NOT_PERMITTED)
        other.wait_for(CaptureFinished)


def test_a_job_that_is_gone_is_told(tmp_path):
    with driving(tmp_path) as driver:
        driver.client.resume("a" * 32, clip(tmp_path, frames=3))
        failed = driver.wait_for(CaptureFailed)
        assert (failed.job, failed.error.code) == ("a" * 32, ErrorCode.NO_SUCH_JOB)
        assert failed.error.remedy
        assert lines(tmp_path / "solved") == []


@pytest.mark.parametrize("cancelled", [True, False])
def test_what_failed_or_was_cancelled_is_run_again_only_on_request(tmp_path, cancelled):
    count = tmp_path / "count"
    options = source(tmp_path, count=str(count), **({"pause": 30} if cancelled else {"error": True}))
    with driving(tmp_path) as driver:
        job = driver.client.capture(options)
        if cancelled:
            driver.until(lambda event: isinstance(event, Progress) and event.stage == "start")
            driver.client.cancel(job)
        wanted = driver.wait_for(CaptureFailed).error.code
    with driving(tmp_path) as driver:
        driver.client.resume(job, options)
        assert driver.wait_for(CaptureFailed).error.code is wanted
        assert len(lines(count)) == 1
        driver.client.resume(job, options, attempt=2)
        driver.until(lambda event: len(lines(count)) == 2)


@posix
def test_a_retry_that_never_arrived_is_sent_again(tmp_path, monkeypatch):
    """The backend dies after the failed capture was asked for again and before it took note of that."""
    count = tmp_path / "count"
    with driving(tmp_path) as driver:
        job = driver.client.capture(source(tmp_path, error=True, count=str(count)))
        driver.wait_for(CaptureFailed)
        os.kill(driver.client.pid, signal.SIGSTOP)
        driver.client.retry(job)
        driver.pump()
        kill(driver)
        assert driver.wait_for(BackendRestarted).jobs == (job,)
        assert driver.wait_for(CaptureFailed).error.code is ErrorCode.NO_FACE
        assert len(lines(count)) == 2


@posix
def test_a_capture_that_never_arrived_is_sent_again(tmp_path):
    with driving(tmp_path) as driver:
        driver.client.start()
        driver.until(lambda event: isinstance(event, StateChanged) and event.state is ClientState.READY)
        os.kill(driver.client.pid, signal.SIGSTOP)
        job = driver.client.capture(source(tmp_path))
        driver.client.list_jobs()
        driver.pump()
        kill(driver)
        assert driver.wait_for(CaptureFinished).job == job
        if not any(isinstance(event, JobsListed) for event in driver.seen):
            driver.wait_for(JobsListed)  # asked again, too


def test_lost_replies_change_nothing(tmp_path, monkeypatch):
    """Every third reply is lost; requests are repeated soon."""
    usual_send, usual_decode = Connection.send, sys.modules[Connection.__module__].decode
    received = []

    def decode(frames):
        reply = usual_decode(frames)
        received.append(reply)
        return reply._replace(id=0) if len(received) % 3 == 0 else reply

    def send(self, request, now, on_reply, *_):
        usual_send(self, request, now, on_reply, 0.2, 50)

    monkeypatch.setattr(Connection, "send", send)
    monkeypatch.setattr(f"{Connection.__module__}.decode", decode)
    with driving(tmp_path) as driver:
        options = live(tmp_path)
        job = driver.client.capture(options)
        clips = driver.client.capture(clip(tmp_path, frames=20))
        wanted = [LiveAction.RECORD, LiveAction.STOP_RECORDING, LiveAction.NEUTRAL, LiveAction.NEUTRAL, LiveAction.END]
        for count, action in enumerate(wanted, start=1):
            driver.wait_for(PreviewReady)
            driver.client.control_live(job, action)
            # Two actions before one frame would record nothing.
            driver.pump_until(lambda count=count: len(lines(tmp_path / "log")) >= count)
        ended = {event.job: event for event in (driver.wait_for(CaptureFinished), driver.wait_for(CaptureFinished))}
        assert ended.keys() == {job, clips}
        assert ended[job].report == {"recordings": 1}
        assert lines(tmp_path / "log") == wanted
        assert lines(tmp_path / "solved") == [str(number) for number in range(20)]
        assert len(received) > 30


def test_a_live_capture_streams_and_is_controlled(tmp_path):
    with driving(tmp_path) as driver:
        job = driver.client.capture(live(tmp_path))
        shown = [frame_of(driver.wait_for(PreviewReady)) for _ in range(20)]
        assert shown == sorted(set(shown))
        actions = [LiveAction.NEUTRAL, LiveAction.RECORD, LiveAction.FORGET_NEUTRAL]
        for action in actions:
            driver.client.control_live(job, action)
        for _ in range(10):
            driver.wait_for(PreviewReady)
        driver.client.control_live(job, LiveAction.END)
        finished = driver.wait_for(CaptureFinished)
        assert len(finished.takes[0]) > 1
        assert lines(tmp_path / "log") == [*actions, "end"], "in order"
        driver.client.control_live(job, LiveAction.END)
        driver.pump()


def test_an_action_for_what_is_not_live_is_told(tmp_path):
    with driving(tmp_path) as driver:
        job = driver.client.capture(source(tmp_path, takes=2, pause=30))
        driver.client.control_live(job, LiveAction.RECORD)
        failed = driver.wait_for(RequestFailed)
        assert (failed.job, failed.error.code) == (job, ErrorCode.USAGE)


@posix
def test_a_live_capture_whose_backend_dies_hands_over_its_recordings(tmp_path):
    with driving(tmp_path) as driver:
        options = live(tmp_path)
        job = driver.client.capture(options)
        driver.client.control_live(job, LiveAction.RECORD)
        driver.wait_for(PreviewReady)
        driver.client.control_live(job, LiveAction.STOP_RECORDING)
        while len(lines(tmp_path / "log")) < 2:
            driver.wait_for(PreviewReady)
        driver.wait_for(PreviewReady)
        kill(driver)
        failed = driver.wait_for(CaptureFailed)
        assert failed.error.code is ErrorCode.BACKEND_DIED
        assert [take.meta.person for take in failed.takes] == [1]
        again = driver.client.retry(job)
        assert again != job, "the recordings stay where they are"
        driver.until(lambda event: isinstance(event, PreviewReady) and event.job == again)
        driver.client.control_live(again, LiveAction.END)
        assert driver.wait_for(CaptureFinished).takes == ()


def test_long_takes_are_decoded_beside_blenders_thread(tmp_path, monkeypatch):
    usual = sys.modules[Connection.__module__].decode
    decoded: list[tuple[bool, int]] = []

    def decode(frames):
        decoded.append((threading.current_thread() is threading.main_thread(), sum(map(len, frames))))
        return usual(frames)

    monkeypatch.setattr(f"{Connection.__module__}.decode", decode)
    count, channels = 3000, 49
    (tmp_path / "solved").write_text("".join(f"{number}\n" for number in range(count)))
    with driving(tmp_path) as driver:
        job = driver.client.capture(options := clip(tmp_path, frames=count, channels=channels))
        finished = driver.wait_for(CaptureFinished)
        assert finished.job == job
        assert same_arrays(finished.takes[0], clip_take(1, options.source, range(count), channels))
    large = [main for main, size in decoded if size > LARGE_BYTES]
    assert large
    assert not any(large)
    assert any(main for main, _ in decoded), "small ones cost less than a thread"


def test_previews_need_their_head(tmp_path, monkeypatch):
    """A head that cannot be kept hides previews, asks for it no more, and fails the capture at its end."""
    (tmp_path / "heads").write_text("in the way")
    with driving(tmp_path) as driver:
        driver.client.capture(clip(tmp_path, frames=30, frame_seconds=0.02))
        failed = driver.wait_for(CaptureFailed)
        assert failed.error.code in (ErrorCode.MISSING_FILE, ErrorCode.NOT_PERMITTED)
        assert failed.takes[0].meta.head_sha256 == HEAD_SHA256
        assert not any(isinstance(event, PreviewReady) for event in driver.seen)
