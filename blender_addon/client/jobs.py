# SPDX-License-Identifier: GPL-3.0-or-later
"""The client: one state machine over the backend's process, the connection and all captures.

A timer in Blender calls `Client.pump` and handles the events; tests call it directly. No method waits for anything.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path

from ..contract.errors import ErrorCode, MienError
from ..contract.head import HeadDescription
from ..contract.messages import Hello, ListModels, LiveAction, Models, Reply, Welcome
from ..contract.options import CaptureOptions
from ..contract.places import logs_dir
from ..contract.take import Take
from ..contract.version import VERSION
from .adding import ModelAdding
from .capture import Capture
from .connection import Connection
from .events import (
    AddingFailed,
    BackendRestarted,
    ClientState,
    Event,
    FilesAdded,
    HeadFailed,
    ModelsListed,
    StateChanged,
)
from .exports import TakeExports
from .head_fetch import HeadFetch
from .heads import HeadCache
from .launch import ClientSettings, Launch
from .process import LOG_NAME
from .questions import Questions
from .recovery import Recovery

_GREET_SECONDS = 0.2
_PROBLEM_SECONDS = 2.0
_NEVER = float("inf")


class Client:
    """Starts the backend when it is needed and brings captures through it.

    Args:
        settings: See `ClientSettings`.

    Attributes:
        state: State of the backend.
        message: A phrase for the panel's state line.
        error: In the state FAILED what happened and what to do.
        models: What the backend told last about its engines and heads; empty until it is ready.
    """

    def __init__(self, settings: ClientSettings) -> None:
        self._settings = settings
        self._cache = HeadCache(settings.heads_folder)
        self._captures: dict[str, Capture] = {}
        self._attempts: dict[str, tuple[CaptureOptions, int]] = {}
        self._events: list[Event] = []
        self._questions = Questions(self._tell)
        self._exports = TakeExports(self._tell)
        self._adding = ModelAdding(self._tell_added)
        self._head_fetch = HeadFetch(self._cache, self._questions, self._tell, self._head_failed)
        self._wanted = False
        self._recovery = Recovery()
        self._launch: Launch | None = None
        self._next_hello = 0.0
        self._welcome: Welcome | None = None
        self._told_models = False
        self._now = 0.0
        self.state = ClientState.STOPPED
        self.message = "Stopped"
        self.error: MienError | None = None
        self.models = Models((), (), ())

    # What the panel does

    def start(self) -> None:
        """Start the backend, or connect to the remote one, with the next `pump`."""
        self._wanted = True

    def capture(self, options: CaptureOptions, job: str | None = None, attempt: int = 1) -> str:
        """Capture; starts the backend if needed. Events follow from `pump`.

        Args:
            options: What to do.
            job: Id of an earlier job to go on with; None for a new one.
            attempt: For an earlier job that did not finish, one more than its last attempt.

        Returns:
            The job's id.
        """
        job = job or uuid.uuid4().hex
        self._attempts[job] = (options, attempt)
        maps = self._settings.takes_folder
        self._captures[job] = Capture(job, options, attempt, self._want_for_capture, maps_folder=maps)
        self.list_models()  # the takes need the heads as they are now
        self._wanted = True
        return job

    def resume(self, job: str, options: CaptureOptions, attempt: int | None = None) -> str:
        """Pick up a job of an earlier Blender or of a file that was opened again; starts the backend if needed.

        What runs or waits is followed, what is finished is fetched, what was interrupted is run again and goes on where
        it stood. CaptureFailed with the code NO_SUCH_JOB follows where the backend does not have it any more. A job
        that this client follows already is left as it is.

        Args:
            job: Its id.
            options: The options that it was submitted with.
            attempt: One more than its last attempt, to run also a failed or cancelled job again; None to be told how
                that ended.

        Returns:
            The job's id.
        """
        if job not in self._captures:
            self._attempts[job] = (options, attempt or 1)
            maps = self._settings.takes_folder
            self._captures[job] = Capture(job, options, attempt or 0, self._want_for_capture, True, maps)
            self.list_models()
            self._wanted = True
        return job

    def retry(self, job: str) -> str:
        """Run a capture of this client again that failed; what was done is kept.

        Returns:
            The job's id; a new one for a live capture, whose recordings stay with the old one.

        Raises:
            MienError: NO_SUCH_JOB.
        """
        if job not in self._attempts:
            raise MienError(ErrorCode.NO_SUCH_JOB, f"There is no capture {job}.", "Capture the source again.")
        options, attempt = self._attempts[job]
        return self.capture(options) if options.live else self.capture(options, job, attempt + 1)

    def control_live(self, job: str, action: LiveAction) -> None:
        """Ask something of a live capture; RequestFailed follows where it is refused. Unknown or finished ones are
        ignored.
        """
        if capture := self._captures.get(job):
            capture.control(action)

    def cancel(self, job: str) -> None:
        """Stop a capture; CaptureFailed with the code CANCELLED follows. Unknown or finished ones are ignored."""
        if capture := self._captures.get(job):
            capture.cancel()

    def request_overlay(self, job: str) -> None:
        """Ask for the picture that shows a finished capture over its source; OverlayReady follows."""
        self._questions.want_overlay(job)

    def list_jobs(self) -> None:
        """Ask for the jobs on the backend's disk, to go on with after a restart; JobsListed follows."""
        self._questions.want_jobs()
        self._wanted = True

    def list_models(self) -> None:
        """Ask again which engines and heads there are, where the backend has told before; ModelsListed follows."""
        if self._welcome is not None and self._welcome.ready:  # else it is asked anyway
            self._questions.ask(ListModels(), self._on_models)

    def add_models(self, paths: Sequence[str]) -> str:
        """Let the backend of this machine take over files that the user brought; starts it if needed. FilesAdded or
        AddingFailed follows, and AddingGoesOn before.

        Args:
            paths: Absolute paths of files and folders.

        Returns:
            Id of the request.

        Raises:
            MienError: BAD_MESSAGE for paths that are not absolute.
        """
        self._wanted = True
        return self._adding.add(paths)

    def list_formats(self) -> None:
        """Ask in which formats takes can be written; FormatsListed follows."""
        self._exports.list_formats()

    def export_take(self, take: Take, name: str, stem: str) -> str:
        """Let the backend write a take in a format; starts it if needed. TakeExported or ExportFailed follows.

        Args:
            take: The take.
            name: Name of the format.
            stem: Name of the file without the format's suffix.

        Returns:
            Id of the export.

        Raises:
            MienError: BAD_MESSAGE for a stem that is no file name.
        """
        self._wanted = True
        return self._exports.export(take, name, stem)

    def cancel_export(self, export: str) -> None:
        """Wait for an export no longer; nothing follows."""
        self._exports.cancel(export)

    def want_head(self, sha256: str) -> None:
        """Bring a head into the cache; starts the backend if needed. HeadReady or HeadFailed follows where it was not
        there.
        """
        if not self._head_fetch.want(sha256):
            self._wanted = True

    def head(self, sha256: str) -> HeadDescription | None:
        """A cached head, or None.

        Raises:
            MienError: NOT_PERMITTED where the cache cannot be read.
        """
        return self._cache.get(sha256)

    @property
    def device(self) -> str:
        """Where the backend computes, for people; empty until known."""
        return self._welcome.device if self._welcome else ""

    @property
    def log_file(self) -> Path:
        """What the child process wrote, to show to the user."""
        return logs_dir() / LOG_NAME

    @property
    def pid(self) -> int | None:
        """Process id of the child; None while there is none."""
        return self._launch.pid if self._launch else None

    def restart(self) -> None:
        """End the backend at once and start it anew; running captures fail and can be retried."""
        self._give_up(MienError(ErrorCode.CANCELLED, "The backend was restarted.", "Capture again."), timeout=0.0)
        self._wanted = True

    def close(self, timeout: float = 3.0) -> None:
        """End the backend and all captures.

        Args:
            timeout: Seconds for the backend to end by itself; it usually needs a few milliseconds.
        """
        self._give_up(MienError(ErrorCode.CANCELLED, "The backend was stopped.", "Capture again."), timeout)
        self._wanted = False
        self._set_state(ClientState.STOPPED, "Stopped")

    # The machine

    def pump(self, now: float) -> list[Event]:
        """Do what can be done within a few milliseconds.

        Args:
            now: Monotonic seconds.

        Returns:
            What happened since the last call, in order.
        """
        self._now = now
        self._head_fetch.collect()  # before captures go on, so that HeadReady comes before CaptureFinished
        try:
            if self._launch is None and self._wanted:
                self._launch = Launch(self._settings, now)
                self._next_hello = now
            if self._launch and (link := self._launch.connection(now)):
                link.drain(now)
                self._work(link)
            if self._launch:
                self._launch.check()
        except MienError as error:
            self._lost(error)
        self._collect_captures()
        self._show_state()
        events, self._events = self._events, []
        return events

    def _work(self, link: Connection) -> None:
        """Greet until the backend is ready; once greeted, send what waits."""
        if self._now >= self._next_hello:
            self._next_hello = _NEVER
            link.send(Hello(VERSION), self._now, lambda reply: self._on_welcome(link, reply))
        if self._welcome is None:
            return
        self._questions.step(link, self._now)
        self._exports.step(link, self._now)
        self._adding.step(link, self._now)
        may_upload = True
        for capture in list(self._captures.values()):
            self._events += capture.step(link, self._now, self._welcome.remote, may_upload)
            may_upload = may_upload and not capture.uploading

    def _on_welcome(self, link: Connection, reply: Reply | MienError) -> None:
        if isinstance(reply, MienError):
            link.failure = reply
        elif isinstance(reply, Welcome):
            self._welcome = reply
            if reply.ready:
                self._recovery.explained()
                self._questions.ask(ListModels(), self._on_models)
            else:  # a problem may end with the next job: the backend tries again then
                self._next_hello = self._now + (_PROBLEM_SECONDS if reply.problem else _GREET_SECONDS)

    def _want_for_capture(self, sha256: str) -> bool:
        """Whether a head is in the cache as the backend has it now, which it has to tell first."""
        waits = not self._told_models and self._welcome is not None and self._welcome.problem is None
        return not waits and self._head_fetch.want(sha256)

    def _on_models(self, reply: Reply | MienError) -> None:
        self._told_models = True
        if isinstance(reply, Models):
            self.models = reply
            self._events.append(ModelsListed(reply))
            wanted = {capture.options.head for capture in self._captures.values()}
            for status in reply.heads:
                if not status.ready:
                    continue
                self._cache.expect(status.sha256, status.revision)
                if status.id in wanted:
                    self._head_fetch.want(status.sha256)  # it travels while the capture computes

    def _tell(self, event: Event) -> None:
        self._events.append(event)

    def _tell_added(self, event: Event) -> None:
        self._tell(event)
        if isinstance(event, (FilesAdded, AddingFailed)):  # some of them may be there in spite of a failure
            self.list_models()

    def _head_failed(self, sha256: str, error: MienError) -> None:
        self._events.append(HeadFailed(sha256, error))
        for capture in self._captures.values():
            capture.head_failed(sha256, error)

    def _collect_captures(self) -> None:
        for job, capture in list(self._captures.items()):
            self._events += capture.events()
            if capture.blamed:
                capture.blamed = False
                self._recovery.explained()
            if capture.over:
                self._attempts[job] = (capture.options, max(capture.attempt, 1))
                del self._captures[job]

    def _lost(self, error: MienError) -> None:
        """The backend is gone: start it anew for captures that can go on, or fail."""
        going_on = [capture for capture in self._captures.values() if not capture.over]
        child = not self._settings.remote
        if not (child and going_on and self._recovery.may_restart(error, self._welcome is not None)):
            self._fail(error)
            return
        if self._launch:
            self._launch.close(0.0)
        self._launch = self._welcome = None
        self._told_models = False
        self._head_fetch.reset()
        self._questions.backend_lost()
        self._exports.ask_again()
        self._adding.ask_again()
        for capture in going_on:
            capture.backend_lost(error)
        self._events.append(BackendRestarted(error, tuple(capture.job for capture in going_on if not capture.over)))

    def _fail(self, error: MienError) -> None:
        self._give_up(error, timeout=0.0)
        self._wanted = False
        self._recovery = Recovery()
        self._set_state(ClientState.FAILED, error.message.rstrip("."), error)

    def _give_up(self, error: MienError, timeout: float) -> None:
        """End process, connection and captures."""
        if self._launch:
            self._launch.close(timeout)
        self._launch = self._welcome = None
        self._told_models = False
        self._questions.clear()
        self._exports.give_up(error)
        self._adding.give_up(error)
        self._head_fetch.reset()
        for capture in self._captures.values():
            capture.fail(error)

    def _show_state(self) -> None:
        if self._wanted and self._welcome is None:
            self._set_state(ClientState.STARTING, "Connecting…" if self._settings.remote else "Starting…")
        elif self._welcome is not None:
            self._show_welcome(self._welcome)

    def _show_welcome(self, welcome: Welcome) -> None:
        if welcome.problem:
            error = welcome.problem.to_error()
            self._set_state(ClientState.FAILED, error.message.rstrip("."), error)
        elif not welcome.ready:
            self._set_state(ClientState.STARTING, "Loading models…")
        elif self._captures:
            self._set_state(ClientState.BUSY, f"Capturing on {welcome.device}")
        else:
            self._set_state(ClientState.READY, f"Ready on {welcome.device}")

    def _set_state(self, state: ClientState, message: str, error: MienError | None = None) -> None:
        if (state, message) != (self.state, self.message):
            self.state, self.message, self.error = state, message, error
            self._events.append(StateChanged(state, message, error))
