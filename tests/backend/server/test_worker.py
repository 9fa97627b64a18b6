# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker with its tables, without sockets."""

from __future__ import annotations

import time
import uuid

import pytest

from backend.server import worker as worker_module
from backend.server.jobs import Job, JobTable
from backend.server.overlays import Overlays
from backend.server.uploads import Uploads
from backend.server.worker import Worker
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.messages import JobState, Submit
from blender_addon.contract.options import CaptureOptions
from tests.backend.server.fake_backend import FakeCapturer
from tests.client_driver import source

PATIENCE = 10.0


@pytest.fixture
def worker(tmp_path) -> Worker:
    jobs, uploads = JobTable(tmp_path / "jobs", lambda: None), Uploads(tmp_path / "uploads")
    return Worker(jobs, uploads, FakeCapturer, lambda: None, tmp_path / "log")


def ended(jobs: JobTable, options: CaptureOptions, upload: str = "") -> Job:
    """Run a job to its end."""
    job = jobs.submit(Submit(uuid.uuid4().hex, options, upload=upload)).job
    end = time.monotonic() + PATIENCE
    while not jobs.get(job).status.state.final:
        assert time.monotonic() < end
        time.sleep(0.005)
    return jobs.get(job)


def test_an_overlay_can_be_drawn_however_long_the_backend_had_nothing_to_do(worker, tmp_path, monkeypatch):
    monkeypatch.setattr(worker_module, "_PRUNE_SECONDS", 0.0)
    worker.start()
    job = ended(worker._jobs, source(tmp_path))
    ended(worker._jobs, source(tmp_path, error=True))
    assert worker.want_overlay(job)


def test_a_data_folder_that_cannot_be_tidied_up_stops_nothing(worker, tmp_path, monkeypatch):
    def locked(self):
        raise MienError(ErrorCode.NOT_PERMITTED, "The folder cannot be read.", "Check the permissions.")

    monkeypatch.setattr(worker_module, "_PRUNE_SECONDS", 0.0)
    monkeypatch.setattr(JobTable, "_all_folders", locked)
    worker.start()
    for _ in range(2):
        assert ended(worker._jobs, source(tmp_path)).status.state is JobState.FINISHED


def test_the_name_of_an_upload_is_never_taken_for_a_path(worker, tmp_path):
    """The upload was there at the submission and is gone when its turn comes."""
    worker.start()
    job = ended(worker._jobs, source(tmp_path), upload="a" * 64)
    assert (job.status.state, job.status.error.code) == (JobState.FAILED, ErrorCode.MISSING_FILE)


def test_a_capture_that_is_done_when_it_learns_of_the_cancel_gives_nothing(worker, tmp_path):
    worker.start()
    jobs = worker._jobs
    job = jobs.submit(Submit(uuid.uuid4().hex, source(tmp_path, stubborn=0.3, keep=False))).job
    while jobs.get(job).status.state is JobState.QUEUED:
        time.sleep(0.005)
    jobs.cancel(job)
    while not jobs.get(job).status.state.final:
        time.sleep(0.005)
    status = jobs.get(job).status
    assert (status.state, status.takes) == (JobState.CANCELLED, 0)


def test_waiting_overlays_hold_few_photos():
    def kept(overlays: Overlays, size: int) -> list[int]:
        for number in range(8):
            overlays.offer(str(number), lambda: None, size)
        return [number for number in range(8) if overlays.want(str(number))]

    assert kept(Overlays(), 1 << 20) == [4, 5, 6, 7]
    assert kept(Overlays(), 300 << 20) == [7]
