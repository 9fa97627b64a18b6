# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs while Blender runs: the client, the present capture, the last error. A timer calls `Session.pump`.

Nothing here keeps references to Blender's data: undo would kill them. It keeps names.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import bpy

from .. import compat
from ..client.events import CaptureFailed, CaptureFinished, ClientState, Event, Progress
from ..client.jobs import Client
from ..contract.errors import ErrorCode, MienError
from ..contract.messages import HeadStatus
from ..contract.places import logs_dir
from .finish import finish
from .request import Request
from .settings import client_settings, network_problem, preferences, used_record

ACTIVE_SECONDS = 0.05
IDLE_SECONDS = 0.5


@dataclass(frozen=True)
class FoundFaces:
    """How many faces a photo shows, known after a first capture of it."""

    photo: str
    count: int


class Session:
    """State of the add-on in this Blender.

    Attributes:
        request: The capture that runs, or None.
        progress: The last news of it.
        error: The last error, until the next capture or until it is cleared.
        found: Faces of the photo that was captured last.
    """

    def __init__(self) -> None:
        self._client: Client | None = None
        self._job = ""
        self._finished: CaptureFinished | None = None
        self.request: Request | None = None
        self.progress: Progress | None = None
        self.error: MienError | None = None
        self.found: FoundFaces | None = None

    @property
    def running(self) -> bool:
        """Whether a capture runs."""
        return self.request is not None

    @property
    def client_state(self) -> ClientState:
        """State of the backend."""
        if self._client is None:
            return ClientState.FAILED if self._problem() else ClientState.STOPPED
        return self._client.state

    @property
    def client_error(self) -> MienError | None:
        """Why the backend is not there."""
        return self._client.error if self._client else self._problem()

    @property
    def phrase(self) -> str:
        """The state line."""
        if problem := self.client_error:
            phrase = problem.message.rstrip(".").removeprefix("The backend is ").removeprefix("The ")
            return phrase[:1].upper() + phrase[1:]
        if self._client is None or self._client.state is ClientState.STOPPED:
            return "Starts when needed"
        return self._client.message

    @property
    def heads(self) -> tuple[HeadStatus, ...]:
        """The heads that the backend told of."""
        return self._client.heads if self._client else ()

    @property
    def log_file(self) -> Path:
        """The backend's log."""
        return self._client.log_file if self._client else logs_dir() / "backend.log"

    def _problem(self) -> MienError | None:
        """What stands in the way before anything was started."""
        try:
            if preferences().use_remote:
                return network_problem()
            if used_record():
                return None
        except MienError as error:
            return error
        message = "The backend is not installed."
        return MienError(ErrorCode.SETUP_FAILED, message, "The add-on's preferences say how to install it.")

    def client(self) -> Client:
        """The client, made at first use.

        Raises:
            MienError: NO_NETWORK when Blender may not talk to the remote backend.
        """
        if self._client is None:
            self._client = Client(client_settings())
        return self._client

    def start(self) -> None:
        """Start the backend or connect to it.

        Raises:
            MienError: NO_NETWORK when Blender may not talk to the remote backend.
        """
        self.error = None
        self.client().start()
        self._watch()

    def restart(self) -> None:
        """Start the backend anew, with the present preferences.

        Raises:
            MienError: NO_NETWORK when Blender may not talk to the remote backend.
        """
        self.error = None
        if self._client is not None:
            self._client.restart()
        else:
            self.client().start()
        self._watch()

    def capture(self, request: Request) -> None:
        """Start a capture; the head appears when it is done.

        Raises:
            MienError: USAGE while another one runs; NO_NETWORK when Blender may not talk to the remote backend.
        """
        if self.running:
            raise MienError(ErrorCode.USAGE, "A capture is running.", "Wait for it, or cancel it.")
        self.error = self.progress = None
        self._job = self.client().capture(request.options)
        self.request = request
        self._watch()
        self.pump()

    def cancel(self) -> None:
        """Stop the capture that runs; the backend answers when it has stopped."""
        if self._finished is not None:
            self._end_job()
        elif self._client is not None and self._job:
            self._client.cancel(self._job)

    def settings_changed(self) -> None:
        """Take over changed preferences: the old backend ends."""
        self.close()
        self.error = None

    def close(self) -> None:
        """End the backend and forget the running capture."""
        client, self._client = self._client, None
        self._end_job()
        if client is not None:
            client.close()
        if bpy.app.timers.is_registered(_tick):
            bpy.app.timers.unregister(_tick)

    def pump(self) -> bool:
        """Handle what has happened; takes a few milliseconds, unless a head is built.

        Returns:
            Whether anything did.
        """
        events = self._client.pump(time.monotonic()) if self._client else []
        for event in events:
            self._handle(event)
        return self._finish_when_free() or bool(events)

    def wait(self, until: Callable[[], bool]) -> None:
        """Pump until something is so; for scripts, which have no timer."""
        while not until():
            self.pump()
            time.sleep(0.01)

    def _watch(self) -> None:
        if not bpy.app.timers.is_registered(_tick):
            bpy.app.timers.register(_tick, first_interval=0.0, persistent=True)

    def _handle(self, event: Event) -> None:
        if isinstance(event, Progress) and event.job == self._job:
            self.progress = event
        elif isinstance(event, CaptureFailed) and event.job == self._job:
            self._end_job()
            if event.error.code is not ErrorCode.CANCELLED:
                self.error = event.error
                _report("ERROR", str(event.error))
        elif isinstance(event, CaptureFinished) and event.job == self._job:
            self._finished = event

    def _end_job(self) -> Request | None:
        request, self.request, self.progress, self._job = self.request, None, None, ""
        self._finished = None
        return request

    def _finish_when_free(self) -> bool:
        """Build the heads of a finished capture, but not while the user is in the middle of something.

        Returns:
            Whether anything changed.
        """
        event = self._finished
        if event is None:
            return False
        if in_hand := compat.work_in_hand():
            before, self.progress = self.progress, Progress(event.job, "waiting", 1.0, f"Ready, waits for {in_hand}")
            return self.progress != before
        self._finish(event)
        return True

    def _finish(self, event: CaptureFinished) -> None:
        request = self._end_job()
        if request is None:
            return
        found = event.report.get("found")
        self.found = FoundFaces(request.options.source, len(found) if isinstance(found, list) else len(event.takes))
        try:
            head = self.client().head(event.takes[0].meta.head_sha256)
            warnings = finish(request, event, head)
        except MienError as error:
            self.error = error
            _report("ERROR", str(error))
            return
        for warning in warnings:
            _report("WARNING", warning)


_session: Session | None = None


def session() -> Session:
    """The one session."""
    global _session
    if _session is None:
        _session = Session()
    return _session


def end_session(*_: object) -> None:
    """End the backend, at exit or when the add-on is disabled."""
    global _session
    if _session is not None:
        _session.close()
        _session = None


@bpy.app.handlers.persistent
def before_load(*_: object) -> None:
    """Another file is opened: a capture that runs for the present one is given up."""
    if _session is not None:
        _session.cancel()
        _session.request = None


def _tick() -> float:
    """The timer: Blender's only call into this module while nothing is clicked."""
    current = session()
    try:
        if current.pump():
            redraw()
    except Exception as error:  # noqa: BLE001  # a timer that raises is never called again, and the panel would hang
        traceback.print_exc()
        current.request = current.progress = None
        message = f"Mien failed inside Blender: {type(error).__name__}: {error}."
        current.error = MienError(ErrorCode.INTERNAL, message, "Blender's console says more; capture again.")
        redraw()
    busy = current.running or current.client_state is ClientState.STARTING
    return ACTIVE_SECONDS if busy else IDLE_SECONDS


def redraw() -> None:
    """Let the panels and the preferences draw themselves again."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type in {"VIEW_3D", "PREFERENCES"}:
                for region in area.regions:
                    if region.type in {"UI", "WINDOW"}:
                        region.tag_redraw()


def _report(level: str, text: str) -> None:
    """Say something as an operator would, so that it stands in Blender's status bar and Info editor."""
    with compat.window_context():
        try:
            bpy.ops.mien.tell(level=level, text=text)
        except RuntimeError:
            pass  # how bpy.ops passes on an ERROR report; it has been shown
