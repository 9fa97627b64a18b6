# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests beside the captures: overlays, the list of jobs, and what others want to ask once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ..contract.errors import MienError
from ..contract.messages import GetOverlay, Jobs, ListJobs, Overlay, Reply, Request
from .connection import Connection
from .events import Event, JobsListed, OverlayReady, RequestFailed

_OVERLAY_SECONDS = 0.1
_NEVER = float("inf")


class Questions:
    """Keeps what is to be asked until there is a connection.

    Args:
        tell: Called with what came of it.
    """

    def __init__(self, tell: Callable[[Event], None]) -> None:
        self._tell = tell
        self._once: list[tuple[Request, Callable[[Reply | MienError], None]]] = []
        self._overlays: dict[str, float] = {}
        self._jobs_due = _NEVER
        self._listing = False
        self._now = 0.0

    def ask(self, request: Request, on_reply: Callable[[Reply | MienError], None]) -> None:
        """Send a request with the next `step`; forgotten when the connection is lost."""
        self._once.append((request, on_reply))

    def want_overlay(self, job: str) -> None:
        """Ask for an overlay until it is there."""
        self._overlays[job] = 0.0

    def want_jobs(self) -> None:
        """Ask for the list of jobs."""
        self._jobs_due, self._listing = 0.0, True

    def step(self, link: Connection, now: float) -> None:
        """Send what is due.

        Args:
            link: Where to ask.
            now: Monotonic seconds.
        """
        self._now = now
        once, self._once = self._once, []
        for request, on_reply in once:
            link.send(request, now, on_reply)
        if now >= self._jobs_due:
            self._jobs_due = _NEVER
            link.send(ListJobs(), now, self._on_jobs)
        for job, due in self._overlays.items():
            if now >= due:
                self._overlays[job] = _NEVER  # until its reply is there
                link.send(GetOverlay(job), now, partial(self._on_overlay, job))

    def backend_lost(self) -> None:
        """The backend is started anew: what it has not answered is asked again."""
        self._once.clear()
        self._overlays = dict.fromkeys(self._overlays, 0.0)
        self._jobs_due = 0.0 if self._listing else _NEVER

    def clear(self) -> None:
        """Forget everything."""
        self._once.clear()
        self._overlays.clear()
        self._jobs_due, self._listing = _NEVER, False

    def _on_jobs(self, reply: Reply | MienError) -> None:
        self._listing = self._jobs_due != _NEVER
        if isinstance(reply, Jobs):
            self._tell(JobsListed(reply.jobs))
        elif isinstance(reply, MienError):
            self._tell(RequestFailed(None, reply))

    def _on_overlay(self, job: str, reply: Reply | MienError) -> None:
        if job not in self._overlays:
            return  # asked for twice, and told already
        if isinstance(reply, MienError):
            del self._overlays[job]
            self._tell(RequestFailed(job, reply))
        elif isinstance(reply, Overlay):
            if reply.pixels is None:
                self._overlays[job] = self._now + _OVERLAY_SECONDS
            else:
                del self._overlays[job]
                self._tell(OverlayReady(job, reply.pixels))
