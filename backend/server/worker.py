# SPDX-License-Identifier: GPL-3.0-or-later
"""The thread that loads the models and runs one job after the other."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from backend.server.capturing import Captured, Capturer
from backend.server.job import Job
from backend.server.jobs import JobTable
from backend.server.overlays import Overlays
from backend.server.running import RunningJob, Source
from backend.server.uploads import Uploads
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.head import HeadDescription
from blender_addon.contract.messages import JobState
from blender_addon.contract.take import Take

_PRUNE_SECONDS = 60.0
_log = logging.getLogger("mien.worker")


@dataclass(frozen=True)
class Loaded:
    """What the worker offers to the thread that serves sockets.

    Attributes:
        device: Where it computes, for people; empty until known.
        ready: Whether the models are loaded.
        problem: Why they cannot be.
        capturer: Once ready, for what it does in any thread.
    """

    device: str = ""
    ready: bool = False
    problem: MienError | None = None
    capturer: Capturer | None = None


class Worker:
    """Runs jobs.

    Args:
        jobs: Where they come from and go to.
        uploads: Sources that clients sent.
        load: Makes the capturer; slow (it imports torch), called in the worker's thread.
        changed: Called in the worker's thread when `loaded` or `known_heads` changed.
        log_file: Named in the message about an unexpected failure.
    """

    def __init__(
        self,
        jobs: JobTable,
        uploads: Uploads,
        load: Callable[[], Capturer],
        changed: Callable[[], None],
        log_file: Path,
    ) -> None:
        self._jobs = jobs
        self._uploads = uploads
        self._load = load
        self._changed = changed
        self._log_file = log_file
        self._overlays = Overlays()
        self._pruned = time.monotonic()
        self.loaded = Loaded()
        self.known_heads: dict[str, HeadDescription] = {}
        # A daemon: the process must be able to end while a job computes.
        self.thread = threading.Thread(target=self._run, name="worker", daemon=True)

    def start(self) -> None:
        """Start loading and then working."""
        self.thread.start()

    def _run(self) -> None:
        capturer = self._prepare()
        while True:
            job = self._jobs.next()
            if job is None:
                self._draw_wanted()
                continue
            if capturer is None:
                capturer = self._prepare()  # what failed at the start may work now (a file was fetched, memory freed)
            if capturer is None:
                self._jobs.end(job, JobState.FAILED, self.loaded.problem)
                continue
            self._do(capturer, job)
            self._prune_sometimes()

    def _prune_sometimes(self) -> None:
        if time.monotonic() - self._pruned > _PRUNE_SECONDS:
            prune(self._jobs, self._uploads)
            self._pruned = time.monotonic()

    def _prepare(self) -> Capturer | None:
        try:
            capturer = self._load()
            head = capturer.head("open")
            self.known_heads[head.sha256] = head
            self.loaded = Loaded(capturer.device, True, None, capturer)
            return capturer
        except Exception as error:  # noqa: BLE001  # whatever it is must reach the user as a problem of the backend
            self.loaded = Loaded(problem=self._as_mien_error(error, "Loading the models"))
            return None
        finally:
            self._changed()

    def _do(self, capturer: Capturer, job: Job) -> None:
        try:
            source = Source.of(job.spec, self._uploads)
        except MienError as error:
            self._jobs.end(job, JobState.FAILED, error)
            return
        try:
            progress = RunningJob(self._jobs, job, source)
            captured = capturer.capture(source.options, progress)
            progress.check_cancelled()  # whoever has cancelled wants no result, not even one that is there
            self._take_over(capturer, job, progress, captured)
        except Exception as error:  # noqa: BLE001  # a job's failure must end the job, never the backend
            problem = source.told(self._as_mien_error(error, f"Job {job.folder.job}"))
            cancelled = problem.code is ErrorCode.CANCELLED
            self._jobs.end(job, JobState.CANCELLED if cancelled else JobState.FAILED, None if cancelled else problem)

    def _take_over(self, capturer: Capturer, job: Job, progress: RunningJob, captured: Captured) -> None:
        for take in captured.takes:
            if take.meta.head_sha256 not in self.known_heads:
                self.known_heads[take.meta.head_sha256] = capturer.head(take.meta.head_sha256)
        rest = [progress.source.named(take) for take in self._with_maps(job, captured, progress)]
        report = progress.source.reported(captured.report)
        if captured.maps is not None:
            report["displacement"] = {"maps": sum(len(set(take.meta.displacement)) for take in rest)}
        for name, write in (("backdrop", captured.backdrop), ("contact_sheet", captured.contact_sheet)):
            if write is not None:
                report[name] = str(write(job.folder.path))
        if captured.overlay is not None:
            self._overlays.offer(job.folder.job, captured.overlay, captured.overlay_bytes)
        self._jobs.finish(job, rest, report)

    def _with_maps(self, job: Job, captured: Captured, progress: RunningJob) -> Sequence[Take]:
        """The takes that are not saved yet: of those that get displacement maps all, since now they name them."""
        if captured.maps is None:
            return [take for take in captured.takes if take.meta.person not in progress.kept]
        return [captured.maps(take, job.folder.maps_path(take.meta.person)) for take in captured.takes]

    def want_overlay(self, job: Job) -> bool:
        """Draw the overlay of a finished job when no job waits; says whether that is possible.

        Raises:
            MienError: Why it could not be drawn.
        """
        wanted = self._overlays.want(job.folder.job)
        if wanted:
            self._jobs.nudge()
        return wanted

    def _draw_wanted(self) -> None:
        for job_id, draw in self._overlays.wanted():
            try:
                self._jobs.get(job_id).folder.write_overlay(draw())
                self._overlays.done(job_id, None)
            except Exception as error:  # noqa: BLE001  # must reach whoever asked, and must not end the backend
                self._overlays.done(job_id, self._as_mien_error(error, f"Overlay of job {job_id}"))
            self._changed()

    def _as_mien_error(self, error: Exception, what: str) -> MienError:
        if isinstance(error, MienError):
            _log.info("%s: %s: %s", what, error.code, error.message)
            return error
        return internal_error(error, what, self._log_file)


def prune(jobs: JobTable, uploads: Uploads) -> None:
    """Delete old jobs and uploads; what prevents that is logged, since nobody waits for it."""
    try:
        jobs.prune()
        uploads.prune(jobs.uploads_in_use())
    except MienError as error:
        _log.warning("old jobs were not deleted: %s", error)


def internal_error(error: Exception, what: str, log_file: Path) -> MienError:
    """Log an unexpected failure with its traceback and make an error that refers to it."""
    reference = secrets.token_hex(4)
    _log.error("[%s] %s failed", reference, what, exc_info=error)
    message = f"{what} failed unexpectedly ({type(error).__name__})."
    remedy = f"Try again; if it happens again, report it with the lines marked {reference} of {log_file}."
    return MienError(ErrorCode.INTERNAL, message, remedy, {"reference": reference, "log": str(log_file)})
