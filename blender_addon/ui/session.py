# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs while Blender runs: the client, the present captures, the last error. A timer calls `Session.pump`.

Nothing here keeps references to Blender's data: undo would kill them. It keeps names and numbers.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from .. import compat
from ..client.events import (
    BackendRestarted,
    CaptureFailed,
    CaptureFinished,
    ClientState,
    Event,
    JobsListed,
    PreviewReady,
    Progress,
    RequestFailed,
    StateChanged,
)
from ..contract.errors import ErrorCode, MienError
from ..contract.messages import JobSummary, LiveAction
from . import character_live, records
from .adding import Adding
from .backend_state import Backend
from .exporting import Exports
from .finish import finish
from .importing import Imports
from .people import People, people_of, people_of_error
from .previewing import Previews, can_show
from .request import Request
from .running import Running
from .tell import tell


class Session(Backend):
    """State of the add-on in this Blender.

    Args:
        watch: Makes sure that `pump` is called from now on.

    Attributes:
        captures: Those that run, by job, also for files that are closed.
        errors: Why captures of the open file failed, by job.
        people: Who was found in the source that was captured last.
        jobs: The jobs on the backend's disk, the newest first, as told last.
        previews: The heads that show what captures see.
        exports: What is being written for other programs.
        imports: Takes that wait for their heads.
        adding: Model files that are being added.
    """

    def __init__(self, watch: Callable[[], None]) -> None:
        super().__init__(watch)
        self._newest: dict[str, PreviewReady] = {}
        self.errors: dict[str, MienError] = {}
        self.captures: dict[str, Running] = {}
        self.people: People | None = None
        self.jobs: tuple[JobSummary, ...] = ()
        self.previews = Previews()
        self.exports = Exports()
        self.imports = Imports()
        self.adding = Adding()

    @property
    def present(self) -> list[Running]:
        """The captures that run for the open file, the oldest first."""
        return [capture for capture in self.captures.values() if not capture.away]

    @property
    def running(self) -> bool:
        """Whether a capture runs for the open file."""
        return bool(self.present)

    @property
    def live(self) -> Running | None:
        """The live capture; None while there is none."""
        return next((capture for capture in self.present if capture.live), None)

    def capture(self, request: Request) -> str:
        """Start a capture, behind those that run; its head appears when it is done.

        Returns:
            The job's id.

        Raises:
            MienError: USAGE for a second live capture; NO_NETWORK when Blender may not talk to the remote backend.
        """
        if request.options.live and self.live:
            raise MienError(ErrorCode.USAGE, "A live capture is running.", "Stop it first.")
        self.error = None
        job = self.client().capture(request.options)
        self._add(Running(job, request))
        return job

    def resume(self, capture: Running) -> None:
        """Go on with a capture that was begun before: in another session, or for a file that was closed.

        Raises:
            MienError: NO_NETWORK when Blender may not talk to the remote backend.
        """
        self.client().resume(capture.job, capture.request.options, capture.attempt or None)
        self._add(capture)

    def _add(self, capture: Running) -> None:
        self.errors.pop(capture.job, None)
        self.captures[capture.job] = capture
        self.remember()
        self._watch()
        self.pump()

    def cancel(self, job: str = "") -> None:
        """Stop a capture, or all that run for the open file; the backend answers when it has stopped."""
        for capture in self.present:
            if job not in ("", capture.job):
                continue
            if capture.finished is not None or self._client is None:
                self._end(capture.job)
            else:
                self._client.cancel(capture.job)

    def control_live(self, action: LiveAction) -> None:
        """Ask something of the live capture.

        Raises:
            MienError: USAGE while there is none.
        """
        if self.live is None or self._client is None:
            raise MienError(ErrorCode.USAGE, "No live capture is running.", "Start one first.")
        self._client.control_live(self.live.job, action)
        if action in (LiveAction.RECORD, LiveAction.STOP_RECORDING):
            self.live.recording = action is LiveAction.RECORD

    def list_jobs(self) -> None:
        """Ask for the jobs on the backend's disk; they stand in `jobs` soon after.

        Raises:
            MienError: NO_NETWORK when Blender may not talk to the remote backend.
        """
        self.client().list_jobs()
        self._watch()

    def stay_awake(self) -> None:
        """Let the timer run: an export, an import or the taking over of files was begun."""
        self._watch()

    def remember(self) -> None:
        """Let the scenes remember the captures that run for them."""
        records.write(capture for capture in self.present if not capture.live)

    def leave_file(self) -> None:
        """The open file is closed: its captures go on at the backend; a live one ends."""
        for capture in self.present:
            capture.away = True
            if capture.live and self._client is not None:
                self._client.cancel(capture.job)
        self._newest.clear()
        self.previews.forget()
        character_live.forget()

    def enter_file(self) -> None:
        """Another file is open: go on with the captures that it remembers, also with those that are done by now."""
        for found in list(records.read()):
            if isinstance(found, MienError):
                self.error = found
                continue
            try:
                known = self.captures.get(found.job)
                if known is None:
                    self.resume(found)
                else:
                    known.request, known.away = found.request, False
            except MienError as error:
                self.error = error

    def settings_changed(self) -> None:
        """Take over changed preferences: the old backend ends."""
        self.close()
        self.error = None

    def close(self) -> None:
        """End the backend and forget the captures; what is done of them stays on its disk."""
        client, self._client = self._client, None
        for job in list(self.captures):
            self.previews.end(job)
        if self.live:
            character_live.end()
        self.captures.clear()
        self._newest.clear()
        self.exports.cancel(client)
        self.imports.cancel()
        self.adding.cancel()
        if client is not None:
            client.close()

    def pump(self) -> bool:
        """Handle what has happened; takes a few milliseconds, unless a head is built.

        Returns:
            Whether anything did.
        """
        events = self._client.pump(time.monotonic()) if self._client else []
        for event in events:
            self._handle(event)
        changed = self._show_previews()
        changed = self.exports.step() or changed
        changed = self.imports.step(self._client) or changed
        return self._finish_when_free() or changed or bool(events)

    def wait(self, until: Callable[[], bool]) -> None:
        """Pump until something is so; for scripts, which have no timer."""
        while not until():
            self.pump()
            time.sleep(0.01)

    def _handle(self, event: Event) -> None:
        if self.exports.handle(event) or self.imports.handle(event) or self.adding.handle(event):
            return
        if isinstance(event, JobsListed):
            self.jobs = event.jobs
        elif isinstance(event, StateChanged):
            if self._client is not None and event.state is self._client.state is ClientState.READY:  # and still so
                self._client.list_jobs()
                self._client.list_formats()
        elif isinstance(event, BackendRestarted):
            for job in event.jobs:
                if capture := self.captures.get(job):
                    capture.restarted()
        elif isinstance(event, RequestFailed):
            if event.job is not None:
                self.error = event.error
        elif isinstance(event, (Progress, PreviewReady, CaptureFailed, CaptureFinished)):
            if capture := self.captures.get(event.job):
                self._handle_of(capture, event)

    def _handle_of(self, capture: Running, event: Event) -> None:
        if isinstance(event, Progress):
            capture.note_progress(event)
        elif isinstance(event, PreviewReady):
            if not capture.away:
                self._newest[capture.job] = event
        elif capture.away:  # its results stay on the backend's disk
            del self.captures[capture.job]
        elif isinstance(event, CaptureFinished):
            capture.finished = event
        elif isinstance(event, CaptureFailed):
            self._end(capture.job)
            self.people = people_of_error(capture.request, event.error) or self.people
            self.errors[capture.job] = event.error
            if event.error.code is not ErrorCode.CANCELLED:
                self.error = event.error
                tell("ERROR", str(event.error))

    def _end(self, job: str, shown_now: bool = False) -> None:
        capture = self.captures.pop(job, None)
        if capture is not None and capture.live:
            character_live.end()
        self._newest.pop(job, None)
        self.previews.end(job, shown_now)
        self.remember()

    def _show_previews(self) -> bool:
        """Show the newest frame of each capture, but not while the user is in the middle of something."""
        if not self._newest or not can_show():
            return False
        shown = False
        for job, event in list(self._newest.items()):
            capture = self.captures[job]
            head = self.client().head(event.takes[0].meta.head_sha256) if event.takes else None
            if capture.finished or head is None:
                continue  # the head still travels
            del self._newest[job]
            try:
                self.previews.show(capture, event.takes, head)
                if capture.live:
                    character_live.follow(capture.request.scene, event.takes[0])
            except MienError as error:
                capture.note = error.message  # the performance itself is not harmed
            shown = True
        return shown

    def _finish_when_free(self) -> bool:
        """Build the heads of finished captures, but not while the user is in the middle of something.

        Returns:
            Whether anything changed.
        """
        done = next((capture for capture in self.present if capture.finished), None)
        if done is None or done.finished is None:
            return False
        if in_hand := compat.work_in_hand():
            before = done.progress
            done.progress = Progress(done.job, "waiting", 1.0, f"Ready, waits for {in_hand}")
            return done.progress != before
        self._finish(done, done.finished)
        return True

    def _finish(self, capture: Running, event: CaptureFinished) -> None:
        self._end(capture.job, shown_now=bool(event.takes))
        request = capture.request
        self.people = people_of(request, event) or self.people
        if not event.takes:  # a live capture without a recording
            return
        try:
            head = self.client().head(event.takes[0].meta.head_sha256)
            warnings = finish(request, event, head)
        except MienError as error:
            self.error = self.errors[capture.job] = error
            tell("ERROR", str(error))
            return
        for warning in warnings:
            tell("WARNING", warning)


_session: Session | None = None


def session() -> Session:
    """The one session."""
    global _session
    if _session is None:
        from . import ticker  # which calls it

        _session = Session(ticker.start)
    return _session


def present_session() -> Session | None:
    """The session, if there is one already."""
    return _session


def end_session(*_: object) -> None:
    """End the backend, at exit or when the add-on is disabled."""
    global _session
    if _session is not None:
        _session.close()
        _session = None
