# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker with its tables, without sockets."""

from __future__ import annotations

import hashlib
import time
import uuid
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backend.server import worker as worker_module
from backend.server.folder import JobSpec
from backend.server.job import Job
from backend.server.jobs import JobTable
from backend.server.overlays import Overlays
from backend.server.running import Source
from backend.server.uploads import Uploads
from backend.server.worker import Worker
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.messages import BeginUpload, JobState, Submit, UploadChunk
from blender_addon.contract.options import CaptureOptions
from tests.backend.server.fake_backend import FakeCapturer
from tests.client_driver import source

PATIENCE = 10.0


@pytest.fixture
def worker(tmp_path) -> Worker:
    jobs, uploads = JobTable(tmp_path / "jobs", lambda: None), Uploads(tmp_path / "uploads")
    return Worker(jobs, uploads, FakeCapturer, lambda: None, tmp_path / "log")


def ended(jobs: JobTable, options: CaptureOptions, upload: str = "", references: tuple[str, ...] = ()) -> Job:
    """Run a job to its end."""
    job = jobs.submit(Submit(uuid.uuid4().hex, options, upload=upload, reference_uploads=references)).job
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


def uploaded(uploads: Uploads, content: bytes, name: str) -> str:
    """Send a file; returns its hash."""
    sha256 = hashlib.sha256(content).hexdigest()
    uploads.begin(BeginUpload(sha256, len(content), name))
    assert uploads.chunk(UploadChunk(sha256, 0, np.frombuffer(content, np.uint8))).complete
    return sha256


def test_uploads_are_read_by_their_paths_and_told_by_their_names(worker):
    worker.start()
    photo = uploaded(worker._uploads, b'{"sheet": true}', "photo.json")
    lost = uploaded(worker._uploads, b'{"lost": true, "sheet": true}', "lost.json")
    more = uploaded(worker._uploads, b"x", "more.jpg")
    told = CaptureOptions("my photo.json", references=("more.jpg",))
    job = ended(worker._jobs, told, photo, (more,))
    assert job.status.state is JobState.FINISHED
    assert (job.report["source"], job.report["references"]) == ("my photo.json", ["more.jpg"])
    assert Path(job.report["contact_sheet"]).parent == job.folder.path
    assert job.takes[0].meta.source == "my photo.json"
    failed = ended(worker._jobs, told, lost, (more,)).status.error
    assert failed.message == "more.jpg is missing.", "it was read as an upload"
    assert worker._jobs.uploads_in_use() == {photo, lost, more}


def test_a_reference_that_is_gone_when_its_turn_comes_is_told(worker):
    worker.start()
    photo = uploaded(worker._uploads, b"{}", "photo.json")
    options = CaptureOptions("photo.json", references=("more.jpg",))
    error = ended(worker._jobs, options, photo, ("b" * 64,)).status.error
    assert error.code is ErrorCode.MISSING_FILE
    assert "more.jpg" in error.message


def test_the_details_of_an_error_name_no_path_of_the_backend(worker):
    photo = uploaded(worker._uploads, b"{}", "photo.json")
    spec = JobSpec(CaptureOptions("photo.json"), photo, (), 0.0)
    source = Source.of(spec, worker._uploads)
    path = source.options.source
    error = MienError(ErrorCode.BAD_CLIP, f"{path} ends early.", "Use it.", {"path": path, "cause": "truncated"})
    told = source.told(error)
    assert (told.message, told.details) == ("photo.json ends early.", {"cause": "truncated"})
    assert Source.of(replace(spec, upload=""), worker._uploads).told(error) is error


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
