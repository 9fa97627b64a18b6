# SPDX-License-Identifier: GPL-3.0-or-later
"""The jobs of one process: what is submitted, queued, running, done; and which old ones are deleted.

Two threads meet here: the one that serves sockets submits, cancels and reads; the worker begins, reports and ends jobs.
A status is an immutable value that is replaced as a whole, transitions are made under one lock.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from backend.server.folder import Busy, JobFolder, JobSpec
from backend.server.job import Job, Shown
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import file_error
from blender_addon.contract.messages import (
    ControlLive,
    ErrorInfo,
    FrameCount,
    JobState,
    JobStatus,
    JobSummary,
    Submit,
    is_job_id,
)
from blender_addon.contract.take import Take

KEEP_JOBS = 50
"""This many final jobs are kept, the newest ones, ..."""
KEEP_SECONDS = 7 * 24 * 3600
"""... and none whose state last changed longer ago than this."""
MAX_WAITING = 128
"""Jobs that may wait or run at once."""
_LOADED_JOBS = 8

_log = logging.getLogger("mien.jobs")


class JobTable:
    """All jobs in a folder.

    Args:
        root: Folder with one sub-folder for each job.
        changed: Called, in any thread, after a job got a take or another state.
        clock: Seconds since 1970.
    """

    def __init__(self, root: Path, changed: Callable[[], None], clock: Callable[[], float] = time.time) -> None:
        self._root = root
        self._changed = changed
        self._clock = clock
        self._lock = threading.RLock()
        self._jobs: dict[str, Job] = {}
        self._ready = threading.Condition()
        self._queue: deque[Job] = deque()
        self._nudged = False

    def submit(self, request: Submit) -> JobStatus:
        """Queue a job, or answer a repeated request with where the job stands.

        Raises:
            MienError: USAGE for an id that was used for something else; NOT_PERMITTED while another process runs it; or
                what writing its files raises.
        """
        with self._lock:
            job = self._find(request.job)
            if job is None:
                return self._create(request)
            if (job.spec.options, *job.spec.uploads) != (request.options, request.upload, *request.reference_uploads):
                message = f"Job {request.job} was submitted with other options."
                raise MienError(ErrorCode.USAGE, message, "Use a new id for a new job.")
            status = job.status
            may_run = status.state.final and status.state is not JobState.FINISHED and not request.options.live
            if not may_run or request.attempt <= status.attempt:
                return status
            self._check_room()
            self._claim(job.folder)
            try:
                return self._enqueue(job, request.attempt)
            except MienError:
                job.folder.unlock()
                raise

    def _create(self, request: Submit) -> JobStatus:
        self._check_room()
        folder = JobFolder(self._root / request.job)
        folder.create()
        self._claim(folder)
        spec = JobSpec(request.options, request.upload, request.reference_uploads, self._clock())
        status = JobStatus(request.job, JobState.QUEUED, "", 0.0, "", 0, request.attempt, None)
        job = Job(folder, spec, status, [])
        try:
            folder.write_spec(spec)
            self._jobs[request.job] = job
            return self._enqueue(job, request.attempt)
        except MienError:
            self._jobs.pop(request.job, None)
            folder.unlock()
            folder.remove()
            raise

    def _check_room(self) -> None:
        """Each waiting job holds an open file, of which a process may have few (256 on macOS)."""
        if sum(not job.status.state.final for job in self._jobs.values()) >= MAX_WAITING:
            message = f"{MAX_WAITING} jobs are waiting already."
            raise MienError(ErrorCode.TOO_LARGE, message, "Wait until some are done, then capture again.")

    def _claim(self, folder: JobFolder) -> None:
        try:
            folder.lock()
        except Busy:
            raise _elsewhere(folder.job) from None

    def _enqueue(self, job: Job, attempt: int) -> JobStatus:
        job.begin_again()
        status = JobStatus(job.folder.job, JobState.QUEUED, "", 0.0, "", len(job.takes), attempt, None)
        job.folder.write_state(status)
        job.status = status
        with self._ready:
            self._queue.append(job)
            self._ready.notify()
        return status

    def get(self, job_id: str) -> Job:
        """The job with this id.

        Raises:
            MienError: NO_SUCH_JOB, or what reading its files raises.
        """
        with self._lock:
            job = self._find(job_id)
        if job is None:
            message = f"There is no job {job_id}."
            raise MienError(
                ErrorCode.NO_SUCH_JOB, message, "Capture the source again; old jobs are deleted after a week."
            )
        job.last_used = time.monotonic()
        return job

    def _find(self, job_id: str) -> Job | None:
        if job_id not in self._jobs:
            folder = JobFolder(self._root / job_id)
            if not folder.exists():
                return None
            job = self._load(folder)
            if not job.status.state.final:
                return job  # another process runs it: look again next time
            self._jobs[job_id] = job
            self._forget_some()
        return self._jobs[job_id]

    def _load(self, folder: JobFolder) -> Job:
        status = self._settled(folder, folder.read_state())
        job = Job(folder, folder.read_spec(), status, folder.load_takes())
        job.report = folder.read_report() if status.state is JobState.FINISHED else None
        return job

    @staticmethod
    def _settled(folder: JobFolder, status: JobStatus) -> JobStatus:
        """A job that was left queued or running by a process that has ended is interrupted; one without a stage was
        never begun.
        """
        if status.state.final:
            return status
        try:
            folder.lock()
        except Busy:
            return status
        try:
            status = folder.read_state()  # again: it may have ended just before the lock was free
        finally:
            folder.unlock()
        if status.state.final:
            return status
        return replace(status, state=JobState.INTERRUPTED, message="Interrupted")

    def _forget_some(self) -> None:
        """Drop the takes of old final jobs from memory; they are on disk."""
        final = sorted((job for job in self._jobs.values() if job.status.state.final), key=lambda job: job.last_used)
        for job in final[:-_LOADED_JOBS]:
            del self._jobs[job.folder.job]

    def cancel(self, job_id: str) -> JobStatus:
        """Ask a job to stop; a queued one stops at once, a running one at its next check.

        Raises:
            MienError: NO_SUCH_JOB; NOT_PERMITTED where another process runs it.
        """
        job = self.get(job_id)
        with self._lock:
            self._require_own(job)
            job.cancelled.set()
            if job.status.state is JobState.QUEUED:
                self.end(job, JobState.CANCELLED)
            return job.status

    def _require_own(self, job: Job) -> None:
        if not job.status.state.final and job.folder.job not in self._jobs:
            raise _elsewhere(job.folder.job)

    def control(self, request: ControlLive) -> JobStatus:
        """Hand an action to a live job, also to one that waits.

        Raises:
            MienError: NO_SUCH_JOB; USAGE where the job is not live or is over; NOT_PERMITTED where another process runs
                it.
        """
        job = self.get(request.job)
        with self._lock:
            self._require_own(job)
            job.control(request.action, request.number)
            return job.status

    def list(self) -> tuple[JobSummary, ...]:
        """All jobs on disk, the newest first; damaged ones are left out."""
        summaries = []
        for folder in self._folders():
            try:
                with self._lock:
                    known = self._jobs.get(folder.job)
                    status = known.status if known else self._settled(folder, folder.read_state())
                spec = known.spec if known else folder.read_spec()
            except MienError as error:
                _log.warning("job %s cannot be read: %s", folder.job, error)
                continue
            summaries.append(JobSummary(status, spec.options, spec.submitted))
        return tuple(sorted(summaries, key=lambda summary: -summary.submitted))

    def _folders(self) -> list[JobFolder]:
        return [folder for folder in self._all_folders() if folder.exists()]

    def _all_folders(self) -> list[JobFolder]:
        """Folders of jobs, also of those whose submission was cut off; nothing else that lies there."""
        try:
            return [JobFolder(path) for path in self._root.iterdir() if is_job_id(path.name)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise file_error(self._root, error, "read") from error

    # The worker's side

    def next(self) -> Job | None:
        """Wait for the next queued job and mark it as running; None when nudged while no job waits."""
        while True:
            with self._ready:
                self._ready.wait_for(lambda: self._queue or self._nudged)
                if not self._queue:
                    self._nudged = False
                    return None
                job = self._queue.popleft()
            with self._lock:
                if job.status.state is JobState.QUEUED:
                    job.watch()
                    self._set(job, replace(job.status, state=JobState.RUNNING, stage="start"))
                    return job

    def nudge(self) -> None:
        """Make `next` return when no job waits."""
        with self._ready:
            self._nudged = True
            self._ready.notify()

    def progress(self, job: Job, stage: str, done: float, message: str) -> None:
        """Note how far a running job is; not written to disk."""
        job.status = replace(job.status, stage=stage, done=min(max(float(done), 0.0), 1.0), message=message)

    def frames(self, job: Job, count: FrameCount) -> None:
        """Note how far a running clip is; not written to disk."""
        job.status = replace(job.status, frames=count)

    def show(self, job: Job, takes: Sequence[Take]) -> None:
        """Replace the preview of a running job; not written to disk."""
        job.show(takes)
        self._changed()

    def keep(self, job: Job, take: Take) -> None:
        """Save a take of a running job that goes on."""
        job.keep(take)
        self._changed()

    def finish(self, job: Job, takes: Iterable[Take], report: dict[str, object]) -> None:
        """Save the last takes and the report of a running job and end it, all of which is told at once."""
        for take in takes:
            job.keep(take)
        job.folder.write_report(report)
        job.report = report
        self.end(job, JobState.FINISHED)

    def end(self, job: Job, state: JobState, error: MienError | None = None) -> None:
        """Put a job into a final state."""
        info = ErrorInfo.of(error) if error else None
        done = 1.0 if state is JobState.FINISHED else job.status.done
        with self._lock:
            try:
                self._set(job, replace(job.status, state=state, done=done, message="", error=info, preview=0))
            finally:
                job.shown = Shown()
                job.folder.unlock()

    def _set(self, job: Job, status: JobStatus) -> None:
        try:
            job.folder.write_state(status)
        except MienError as error:
            # A full disk must not hide how the job ended: the state counts in this process and is lost with it.
            _log.error("state of job %s was not written: %s", status.job, error)
        job.status = status
        self._changed()

    def prune(self) -> None:
        """Delete final jobs that are too many or too old (`KEEP_JOBS`, `KEEP_SECONDS`)."""
        with self._lock:
            touched = sorted(((folder.touched(), folder) for folder in self._all_folders()), key=lambda pair: -pair[0])
            for rank, (last, folder) in enumerate(touched):
                old = self._clock() - last > KEEP_SECONDS
                if (rank >= KEEP_JOBS or old) and self._may_remove(folder):
                    self._jobs.pop(folder.job, None)
                    folder.remove()

    def _may_remove(self, folder: JobFolder) -> bool:
        try:
            folder.lock()
        except (Busy, MienError):
            return False
        folder.unlock()
        return True

    def uploads_in_use(self) -> set[str]:
        """Hashes of uploads that jobs on disk refer to."""
        used: set[str] = set()
        for folder in self._folders():
            try:
                used.update(folder.read_spec().uploads)
            except MienError:
                continue  # damaged: nothing can run it again
        return used - {""}


def _elsewhere(job: str) -> MienError:
    message = f"Job {job} is being run by another backend."
    return MienError(ErrorCode.NOT_PERMITTED, message, "Wait until it is done, or close the other Blender.")
