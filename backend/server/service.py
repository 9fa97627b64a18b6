# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to replies. Knows nothing of sockets."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from backend.server.adding import Adder
from backend.server.capturing import Capturer
from backend.server.exporting import Exporter, formats
from backend.server.heads import Heads
from backend.server.jobs import JobTable
from backend.server.uploads import Uploads
from backend.server.worker import Worker, prune
from blender_addon.contract import messages as m
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.version import VERSION

TAKES_PER_REPLY = 8
"""Blender decodes a reply in one go, so a reply must not take it more than a few milliseconds."""
BYTES_PER_REPLY = 8 << 20


@dataclass(frozen=True)
class ServiceSettings:
    """Where a service keeps its files, and whom it serves.

    Attributes:
        jobs: Folder of the jobs.
        uploads: Folder of uploaded files.
        log_file: Where unexpected failures are logged.
        remote: Whether clients are on other machines: then sources must be uploaded, and nobody may shut it down.
    """

    jobs: Path
    uploads: Path
    log_file: Path
    remote: bool = False


class Service:
    """Answers requests.

    Args:
        settings: See `ServiceSettings`.
        load: Makes the capturer; called in the worker's thread.
        changed: Called in any thread when a request that was held back may have its answer.
    """

    def __init__(self, settings: ServiceSettings, load: Callable[[], Capturer], changed: Callable[[], None]) -> None:
        self._settings = settings
        self._uploads = Uploads(settings.uploads)
        self._jobs = JobTable(settings.jobs, changed)
        self._worker = Worker(self._jobs, self._uploads, load, changed, settings.log_file)
        self._heads = Heads(self._worker.known_heads, changed)
        self._exporter = Exporter(changed)
        self._adder = Adder(changed)
        self.stopping = False

    def start(self) -> None:
        """Delete old jobs and uploads, then start the worker."""
        prune(self._jobs, self._uploads)
        self._worker.start()

    def answer(self, request: m.Message, waited: bool) -> m.Reply | None:
        """The reply to a request, or None to hold it back until something changes or its time is over.

        Args:
            request: What is asked.
            waited: Its time is over: answer with what there is.

        Raises:
            MienError: What the requested action raises.
        """
        match request:
            case m.Hello():
                return self._welcome()
            case m.ListModels():
                return self._models(waited)
            case m.AddModels():
                return self._add_models(request, waited)
            case m.GetHead():
                return self._head(request, waited)
            case m.Submit():
                return m.Status(self._submit(request))
            case m.GetStatus():
                return m.Status(self._jobs.get(request.job).status)
            case m.GetResults():
                return self._results(request, waited)
            case m.GetPreview():
                return self._preview(request, waited)
            case m.ControlLive():
                return m.Status(self._jobs.control(request))
            case m.GetOverlay():
                return self._overlay(request, waited)
            case m.GetDisplacement():
                return self._displacement(request)
            case m.ListJobs():
                return m.Jobs(self._jobs.list())
            case m.Cancel():
                return m.Status(self._jobs.cancel(request.job))
            case m.BeginUpload():
                return self._uploads.begin(request)
            case m.UploadChunk():
                return self._uploads.chunk(request)
            case m.ListFormats():
                return formats()
            case m.ExportTake():
                return self._exporter.answer(request, waited)
            case m.Shutdown():
                return self._shutdown()
        raise m.bad_message("a reply was sent to the backend")

    def _welcome(self) -> m.Welcome:
        loaded = self._worker.loaded
        problem = m.ErrorInfo.of(loaded.problem) if loaded.problem else None
        return m.Welcome(VERSION, os.getpid(), self._settings.remote, loaded.ready, loaded.device, problem)

    def _models(self, waited: bool) -> m.Models | None:
        loaded = self._worker.loaded
        if loaded.problem:
            raise loaded.problem
        if loaded.capturer is None:
            return m.Models((), (), ()) if waited else None
        return loaded.capturer.models()

    def _add_models(self, request: m.AddModels, waited: bool) -> m.ModelsAdded | None:
        if self._settings.remote:
            message = "A remote backend takes over no files that its clients name."
            raise MienError(ErrorCode.NOT_PERMITTED, message, "Run 'mien models add' on the backend's machine.")
        loaded = self._worker.loaded
        if loaded.problem:
            raise loaded.problem
        if loaded.capturer is None:
            return m.ModelsAdded(request.adding, 0.0, "Loading models", None) if waited else None
        return self._adder.answer(request, loaded.capturer.add_models, waited)

    def _head(self, request: m.GetHead, waited: bool) -> m.Head | None:
        loaded = self._worker.loaded
        known = request.sha256 in self._worker.known_heads
        if not (known or loaded.ready or loaded.problem):
            return m.Head(None) if waited else None
        return self._heads.answer(request.sha256, loaded.capturer, waited)

    def _submit(self, request: m.Submit) -> m.JobStatus:
        options = request.options
        uploads = [(request.upload, options.source), *zip(request.reference_uploads, options.references, strict=False)]
        for sha256, name in uploads:
            if sha256 and self._uploads.find(sha256) is None:
                message = f"{name} has not arrived at the backend."
                raise MienError(ErrorCode.MISSING_FILE, message, "Capture it again.")
        if self._settings.remote:
            self._check_remote(request)
        return self._jobs.submit(request)

    @staticmethod
    def _check_remote(request: m.Submit) -> None:
        """A client of another machine may not make the backend read this machine's files or open its cameras."""
        options = request.options
        if options.camera is not None:
            message = f"{options.source} would be a camera of the backend's machine, not of yours."
            raise MienError(ErrorCode.NOT_PERMITTED, message, "Use a backend on this machine for live captures.")
        if not request.upload or len(request.reference_uploads) != len(options.references):
            message = "A remote backend takes uploaded files only."
            raise MienError(ErrorCode.NOT_PERMITTED, message, "Upload the source and the references first.")
        if any(character in options.head for character in "/\\:"):
            message = "A remote backend takes heads by their ids only."
            raise MienError(ErrorCode.NOT_PERMITTED, message, "Choose one of the heads that the backend lists.")

    def _preview(self, request: m.GetPreview, waited: bool) -> m.Preview | None:
        job = self._jobs.get(request.job)
        job.watch()
        status, shown = job.status, job.shown
        newer = shown.number > request.after
        if not newer and not status.state.final and request.wait_ms and not waited:
            return None
        return m.Preview(replace(status, preview=shown.number), shown.takes if newer else ())

    def _results(self, request: m.GetResults, waited: bool) -> m.Results | None:
        job = self._jobs.get(request.job)
        status, takes = job.status, job.takes[request.first : request.last]
        if not takes and not status.state.final and request.wait_ms and not waited:
            return None
        sent, size = [], 0
        for take in takes[:TAKES_PER_REPLY]:
            size += sum(array.nbytes for array in take.to_arrays()[1].values())
            if sent and size > BYTES_PER_REPLY:
                break
            sent.append(take)
        report = m.Json(job.report) if job.report is not None else None
        return m.Results(status, request.first, tuple(sent), report)

    def _overlay(self, request: m.GetOverlay, waited: bool) -> m.Overlay | None:
        job = self._jobs.get(request.job)
        # Asked for first and read then: between the two the worker may finish drawing it.
        possible = not job.status.state.final or self._worker.want_overlay(job)
        pixels = job.folder.read_overlay()
        if pixels is None and not possible:
            message = f"The overlay of {Path(job.spec.options.source).name} can no longer be drawn."
            raise MienError(ErrorCode.NO_SUCH_JOB, message, "Capture the photo again.")
        if pixels is None and not waited:
            return None
        return m.Overlay(request.job, pixels)

    def _displacement(self, request: m.GetDisplacement) -> m.Displacement:
        job = self._jobs.get(request.job)
        if request.take_index >= len(job.takes):
            message = f"The job {request.job} has no take number {request.take_index}."
            raise MienError(ErrorCode.USAGE, message, "Ask for the takes that its results name.")
        name, data = job.folder.read_map(job.takes[request.take_index], request.frame)
        return m.Displacement(request.job, request.take_index, request.frame, name, np.frombuffer(data, np.uint8))

    def _shutdown(self) -> m.Done:
        if self._settings.remote:
            message = "A remote backend is not ended by its clients."
            raise MienError(ErrorCode.NOT_PERMITTED, message, "End it on its own machine.")
        self.stopping = True
        return m.Done()
