# SPDX-License-Identifier: GPL-3.0-or-later
"""One capture on its way through the backend: upload, submission, results, heads."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from enum import Enum, auto

from ..contract.errors import ErrorCode, MienError
from ..contract.messages import Cancel, GetResults, JobState, JobStatus, Reply, Results, Submit
from ..contract.options import CaptureOptions
from ..contract.take import Take
from .connection import Connection
from .events import CaptureFailed, CaptureFinished, Event, Progress
from .upload import Upload

WAIT_MS = 50
"""How long the backend may hold back the answer about a job that has nothing new."""
_TAKES_AT_ONCE = 32


class _Phase(Enum):
    WAITING = auto()
    UPLOADING = auto()
    RUNNING = auto()
    NEEDS_HEADS = auto()
    OVER = auto()


class Capture:
    """One capture.

    Args:
        job: Its id.
        options: What to do.
        attempt: See `messages.Submit`.
        want_head: Called with the hash of each head that the takes need; says whether it is in the cache now.
    """

    def __init__(self, job: str, options: CaptureOptions, attempt: int, want_head: Callable[[str], bool]) -> None:
        self.job = job
        self.options = options
        self.attempt = attempt
        self._want_head = want_head
        self._phase = _Phase.WAITING
        self._upload: Upload | None = None
        self._takes: list[Take] = []
        self._report: dict[str, object] = {}
        self._events: list[Event] = []
        self._last_progress: Progress | None = None
        self._link: Connection | None = None
        self._now = 0.0
        self._accepted = False
        self._asking = False

    @property
    def over(self) -> bool:
        """Whether it finished or failed."""
        return self._phase is _Phase.OVER

    def step(self, link: Connection, now: float, remote: bool) -> list[Event]:
        """Do what can be done now.

        Args:
            link: Where to ask.
            now: Monotonic seconds.
            remote: Whether the source must be uploaded.

        Returns:
            What happened since the last call.
        """
        self._link, self._now = link, now
        try:
            if self._phase is _Phase.WAITING:
                self._begin(remote)
            if self._phase is _Phase.UPLOADING:
                self._step_upload()
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
        if remote:
            self._upload = Upload(self.options.source)
            self._phase = _Phase.UPLOADING
        else:
            self._submit("")

    def _step_upload(self) -> None:
        upload = self._upload
        upload.step(self._link, self._now)
        self._tell("upload", upload.done, "Uploading")
        if upload.error:
            raise upload.error
        if upload.complete:
            upload.close()
            self._submit(upload.sha256)

    def _submit(self, upload: str) -> None:
        options = self.options
        if upload:
            # The path on this machine means nothing to the other one.
            options = replace(options, source=os.path.basename(options.source))
        self._phase = _Phase.RUNNING
        self._accepted = self._asking = False
        self._link.send(Submit(self.job, options, self.attempt, upload), self._now, self._on_submitted)
        self._ask_results()  # at once: the backend answers in order, and this saves the time of one reply

    def _ask_results(self) -> None:
        self._asking = True
        first = len(self._takes)
        request = GetResults(self.job, first, first + _TAKES_AT_ONCE, WAIT_MS)
        self._link.send(request, self._now, self._on_reply)

    def _on_submitted(self, reply: Reply | MienError) -> None:
        if isinstance(reply, MienError):
            self.fail(reply)
            return
        self._accepted = True
        if not self._asking:
            self._ask_results()

    def _on_reply(self, reply: Reply | MienError) -> None:
        if self.over:
            return
        self._asking = False
        if self._is_early(reply):
            return
        if isinstance(reply, MienError):
            self.fail(reply)
            return
        if isinstance(reply, Results):
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
        if not status.state.final:
            self._tell("queued" if status.state is JobState.QUEUED else status.stage, status.done, status.message)
        if not status.state.final or len(self._takes) < status.takes:
            self._ask_results()
        elif status.state is JobState.FINISHED:
            self._phase = _Phase.NEEDS_HEADS
            self._finish_with_heads()
        else:
            self.fail(_end_error(status))

    def _finish_with_heads(self) -> None:
        wanted = {take.meta.head_sha256 for take in self._takes}
        missing = [sha256 for sha256 in wanted if not self._want_head(sha256)]
        if not missing:
            self._phase = _Phase.OVER
            self._events.append(CaptureFinished(self.job, tuple(self._takes), self._report))

    def _tell(self, stage: str, done: float, message: str) -> None:
        progress = Progress(self.job, stage, done, message)
        if progress != self._last_progress:
            self._last_progress = progress
            self._events.append(progress)

    def cancel(self) -> None:
        """Stop; what the backend has saved stays there."""
        if self._phase is _Phase.RUNNING:
            self._link.send(Cancel(self.job), self._now, lambda reply: None)
        elif not self.over:
            self.fail(cancelled())

    def head_failed(self, sha256: str, error: MienError) -> None:
        """A head did not come; without it the takes cannot be used."""
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
