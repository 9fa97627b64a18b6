# SPDX-License-Identifier: GPL-3.0-or-later
"""One capture on its way through the backend: upload, submission, previews, results, heads; and again after a death."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from enum import Enum, auto
from pathlib import Path

from ..contract.errors import ErrorCode, MienError
from ..contract.messages import Cancel, GetResults, JobState, JobStatus, LiveAction, Reply, Results, Submit
from ..contract.options import CaptureOptions
from ..contract.take import Take
from .connection import Connection
from .displacement import MapFetch
from .events import CaptureFailed, CaptureFinished, Event, PreviewReady, Progress, RequestFailed
from .live import LiveActions
from .preview import PreviewPull
from .upload import UploadQueue, check_sendable

WAIT_MS = 50
"""How long the backend may hold back the answer about a job that has nothing new."""
QUEUED_WAIT_MS = 250
"""The same for a job that waits for others; there may be many."""
MOST_RESTARTS = 3
"""A job is run again this often after its backend died, counted from the last time it got further than before."""
_TAKES_AT_ONCE = 32


class _Phase(Enum):
    WAITING = auto()
    UPLOADING = auto()
    RUNNING = auto()
    NEEDS_MAPS = auto()
    NEEDS_HEADS = auto()
    OVER = auto()


class Capture:
    """One capture.

    Args:
        job: Its id.
        options: What to do.
        attempt: See `messages.Submit`; with `attach` 0 to run again only what was interrupted.
        want_head: Called with the hash of each head that the takes need; says whether it is in the cache now.
        attach: The backend has the job from before: ask how it stands, and submit it only where that is needed.
        maps_folder: Where displacement maps go; None to leave them at the backend.

    Attributes:
        attempt: Number of its last run, as far as known.
        blamed: Set when it turns out that the backend died while it was busy with this capture.
    """

    def __init__(
        self,
        job: str,
        options: CaptureOptions,
        attempt: int,
        want_head: Callable[[str], bool],
        attach: bool = False,
        maps_folder: Path | None = None,
    ) -> None:
        self.job = job
        self.options = options
        self.attempt = attempt
        self._want_head = want_head
        self._attach = attach
        self._maps_folder = maps_folder
        self._maps: MapFetch | None = None
        self._may_be_unknown = not attach
        self._phase = _Phase.WAITING
        self._upload: UploadQueue | None = None
        self._takes: list[Take] = []
        self._report: dict[str, object] = {}
        self._events: list[Event] = []
        self._last_progress: Progress | None = None
        self._link: Connection | None = None
        self._now = 0.0
        self._state: JobState | None = None
        self._submitted = 0
        self._accepted = self._asking = self._fetched_anew = False
        self._cancelled = False
        self._death: MienError | None = None
        self._strikes = 0
        self.blamed = False
        self._furthest = (0, 0.0)
        self._refused_heads: set[str] = set()
        self._previews = PreviewPull(job, options.live, self._on_preview)
        self._actions = LiveActions(job, lambda error: self._events.append(RequestFailed(job, error)))

    @property
    def over(self) -> bool:
        """Whether it finished or failed."""
        return self._phase is _Phase.OVER

    @property
    def uploading(self) -> bool:
        """Whether it is sending files."""
        return self._phase is _Phase.UPLOADING

    def step(self, link: Connection, now: float, remote: bool, may_upload: bool = True) -> list[Event]:
        """Do what can be done now.

        Args:
            link: Where to ask.
            now: Monotonic seconds.
            remote: Whether the files must be uploaded.
            may_upload: Whether it is this capture's turn to send files.

        Returns:
            What happened since the last call.
        """
        self._link, self._now = link, now
        try:
            if self._phase is _Phase.WAITING:
                self._begin(remote)
            if self._phase is _Phase.UPLOADING and may_upload:
                self._step_upload()
            if self._phase is _Phase.RUNNING and self._accepted:
                self._previews.step(link, now)
                self._actions.step(link, now)
            if self._phase is _Phase.NEEDS_MAPS:
                self._step_maps()
            if self._phase is _Phase.NEEDS_HEADS:
                self._finish_with_heads()
        except MienError as error:
            self.fail(error)
        return self.events()

    def events(self) -> list[Event]:
        """What happened since the last call."""
        events, self._events = self._events, []
        return events

    def _begin(self, remote: bool) -> None:
        if self._attach:
            self._phase = _Phase.RUNNING
            self._accepted = True
            self._ask_results()
        elif remote:
            check_sendable(self.options)
            self._upload = UploadQueue((self.options.source, *self.options.references))
            self._phase = _Phase.UPLOADING
        else:
            self._submit(())

    def _step_upload(self) -> None:
        upload = self._upload
        upload.step(self._link, self._now)
        self._tell("upload", upload.done, "Uploading")
        if upload.complete:
            self._submit(upload.hashes)

    def _submit(self, uploads: tuple[str, ...]) -> None:
        options, upload, references = self.options, "", ()
        if uploads:
            # The paths on this machine mean nothing to the other one.
            names = tuple(map(os.path.basename, options.references))
            options = replace(options, source=os.path.basename(options.source), references=names)
            upload, *references = uploads
        self._phase = _Phase.RUNNING
        self._accepted = self._asking = self._fetched_anew = False
        self._submitted = self.attempt
        request = Submit(self.job, options, self.attempt, upload, tuple(references))
        self._link.send(request, self._now, self._on_submitted)
        self._ask_results()  # at once: the backend answers in order, and this saves the time of one reply

    def _ask_results(self) -> None:
        self._asking = True
        first = len(self._takes)
        wait = QUEUED_WAIT_MS if self._state is JobState.QUEUED else WAIT_MS
        self._link.send(GetResults(self.job, first, first + _TAKES_AT_ONCE, wait), self._now, self._on_reply)

    def _on_submitted(self, reply: Reply | MienError) -> None:
        if isinstance(reply, MienError):
            self.fail(reply)
            return
        self._accepted = True
        if not self._asking:
            self._ask_results()

    def _on_reply(self, reply: Reply | MienError) -> None:
        if self._phase is not _Phase.RUNNING:
            return
        self._asking = False
        if self._is_early(reply):
            return
        if isinstance(reply, MienError):
            if reply.code is ErrorCode.NO_SUCH_JOB and self._attach and self._may_be_unknown:
                self._run_again(self.attempt)  # the backend died before it took note of it
            else:
                self.fail(reply)
        elif isinstance(reply, Results):
            if reply.first == len(self._takes):
                self._takes.extend(reply.takes)
            self._report = reply.report or {}
            self._note(reply.status)

    def _is_early(self, reply: Reply | MienError) -> bool:
        """Whether this is about the time before the submission, which a lost connection may let arrive later."""
        if self._accepted:
            return False
        if isinstance(reply, MienError):
            return reply.code is ErrorCode.NO_SUCH_JOB
        return isinstance(reply, Results) and reply.status.attempt < self.attempt

    def _note(self, status: JobStatus) -> None:
        self._state = status.state
        self._previews.note(status)
        if status.takes > self._furthest[0] or status.done > self._furthest[1]:
            self._furthest = (max(status.takes, self._furthest[0]), max(status.done, self._furthest[1]))
            self._strikes = 0
        if not status.state.final:
            queued = status.state is JobState.QUEUED
            self._tell("queued" if queued else status.stage, status.done, status.message, status)
        if not status.state.final or len(self._takes) < status.takes:
            self._ask_results()
        elif status.state is JobState.FINISHED:
            self._note_finished(status)
        elif again := self._next_attempt(status):
            self._run_again(again)
        else:
            self.attempt = max(self.attempt, status.attempt)
            interrupted = status.state is JobState.INTERRUPTED
            self.fail(self._death if interrupted and self._death else _end_error(status))

    def _note_finished(self, status: JobStatus) -> None:
        self.attempt = max(self.attempt, status.attempt)
        if (status.attempt > 1 or "displacement" in self._report) and not self._fetched_anew:
            # Takes that came before the end may be those of an earlier run, which the last one has replaced since, or
            # do not name their displacement maps yet.
            self._fetched_anew = True
            self._takes.clear()
            self._ask_results()
            return
        if self._maps_folder is not None and any(take.meta.displacement for take in self._takes):
            self._maps = MapFetch(self.job, self._takes, self._maps_folder)
            self._phase = _Phase.NEEDS_MAPS
            return
        self._phase = _Phase.NEEDS_HEADS
        self._finish_with_heads()

    def _step_maps(self) -> None:
        maps = self._maps
        maps.step(self._link, self._now)
        if not maps.over:
            self._tell("wrinkles", maps.done, "Fetching wrinkles")
            return
        self._takes = list(maps.takes)
        self._phase = _Phase.NEEDS_HEADS

    def _next_attempt(self, status: JobStatus) -> int | None:
        """With which number a job that did not finish is run again; None where it is not."""
        if self.options.live or self._cancelled:
            return None
        if status.attempt < self.attempt and self._submitted < self.attempt:
            return self.attempt
        if status.state is not JobState.INTERRUPTED:
            return None
        if status.stage:  # it was being worked on: it may be what the backend died of
            self.blamed = True
            self._strikes += 1
        return status.attempt + 1 if self._strikes <= MOST_RESTARTS else None

    def _run_again(self, attempt: int) -> None:
        self.attempt = attempt
        self._attach = False
        self._phase = _Phase.WAITING

    def backend_lost(self, error: MienError) -> None:
        """The backend is gone because of `error` and is started anew: then ask what is left of the job."""
        self._link = None
        self._death = error
        self._state = None
        self._previews.reset()
        self._actions.reset()
        if self._maps is not None:
            self._maps.reset()
        if self._phase is not _Phase.RUNNING:
            return
        if self._cancelled:
            self.fail(cancelled())
            return
        self._phase = _Phase.WAITING
        self._attach = True
        self._submitted = 0

    def _finish_with_heads(self) -> None:
        wanted = {take.meta.head_sha256 for take in self._takes}
        missing = [sha256 for sha256 in wanted if not self._want_head(sha256)]
        if not missing:
            self._phase = _Phase.OVER
            problems = self._maps.problems if self._maps else ()
            self._events.append(CaptureFinished(self.job, tuple(self._takes), self._report, problems))

    def _on_preview(self, takes: tuple[Take, ...]) -> None:
        if self.over or self._cancelled:
            return
        wanted = {take.meta.head_sha256 for take in takes}
        if wanted & self._refused_heads:
            return
        missing = [sha256 for sha256 in wanted if not self._want_head(sha256)]
        if missing:
            return  # a later one will do
        self._events = [event for event in self._events if not isinstance(event, PreviewReady)]
        self._events.append(PreviewReady(self.job, takes))

    def _tell(self, stage: str, done: float, message: str, status: JobStatus | None = None) -> None:
        progress = Progress(self.job, stage, done, message, status.frames if status else None)
        if progress != self._last_progress:
            self._last_progress = progress
            self._events.append(progress)

    def cancel(self) -> None:
        """Stop; what the backend has saved stays there."""
        self._cancelled = True
        if self._phase is _Phase.RUNNING and self._link is not None:
            self._link.send(Cancel(self.job), self._now, self._on_cancelled)
        elif not self.over:
            self.fail(cancelled())

    def _on_cancelled(self, reply: Reply | MienError) -> None:
        if isinstance(reply, MienError):
            self.fail(reply)  # it may go on there, but it is no longer followed

    def control(self, action: LiveAction) -> None:
        """Ask something of a live capture."""
        self._actions.add(action)

    def head_failed(self, sha256: str, error: MienError) -> None:
        """A head did not come; without it the takes cannot be used."""
        self._refused_heads.add(sha256)
        if self._phase is _Phase.NEEDS_HEADS and any(take.meta.head_sha256 == sha256 for take in self._takes):
            self.fail(error)

    def fail(self, error: MienError) -> None:
        """End it with an error."""
        if self.over:
            return
        if self._upload:
            self._upload.close()
        self._phase = _Phase.OVER
        self._events.append(CaptureFailed(self.job, error, tuple(self._takes)))


def cancelled() -> MienError:
    """The error of a capture that the user stopped."""
    return MienError(ErrorCode.CANCELLED, "The capture was cancelled.", "Start it again whenever you like.")


def _end_error(status: JobStatus) -> MienError:
    if status.error:
        return status.error.to_error()
    if status.state is JobState.CANCELLED:
        return cancelled()
    message = "The capture was interrupted because the backend ended."
    return MienError(ErrorCode.BACKEND_DIED, message, "Capture again; what was done is kept.")
