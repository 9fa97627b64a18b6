# SPDX-License-Identifier: GPL-3.0-or-later
"""Pulling the newest preview of a running capture: one request at a time, whatever the backend produces."""

from __future__ import annotations

from collections.abc import Callable

from ..contract.errors import MienError
from ..contract.messages import GetPreview, JobState, JobStatus, Preview, Reply
from ..contract.take import Take
from .connection import Connection

INTERVAL_SECONDS = 0.08
"""A clip's previews are asked for this often at most: nobody sees more, and Blender has to draw each."""
LOOKING_SECONDS = 0.8
"""They are asked for this often at least: the backend only makes them for those who look."""
LIVE_WAIT_MS = 50
"""How long the backend may hold back the next preview of a live capture."""


class PreviewPull:
    """Asks for previews of one job.

    Args:
        job: Its id.
        live: Ask again at once, as for a live capture.
        deliver: Called with the takes of each preview that is newer than the last one.
    """

    def __init__(self, job: str, live: bool, deliver: Callable[[tuple[Take, ...]], None]) -> None:
        self._job = job
        self._live = live
        self._deliver = deliver
        self._link: Connection | None = None
        self._now = 0.0
        self.reset()

    def reset(self) -> None:
        """Begin anew with a new connection."""
        self._asking = False
        self._asked = -LOOKING_SECONDS
        self._running = self._shows = False
        self._attempt = self._newest = self._seen = 0

    def note(self, status: JobStatus) -> None:
        """Learn from a status what there is to ask for."""
        if status.attempt != self._attempt:
            self._attempt, self._seen = status.attempt, 0  # each run of a job counts its previews from 1
        self._running = status.state is JobState.RUNNING
        self._shows = status.frames is not None or status.preview > 0  # a photo shows nothing
        self._newest = status.preview

    def step(self, link: Connection, now: float) -> None:
        """Ask, if there is or may soon be something newer.

        Args:
            link: Where to ask.
            now: Monotonic seconds.
        """
        self._link, self._now = link, now
        if self._asking or not self._running:
            return
        patience = INTERVAL_SECONDS if self._newest > self._seen else LOOKING_SECONDS
        if self._live or (self._shows and now - self._asked >= patience):
            self._asking = True
            self._asked = now
            link.send(GetPreview(self._job, self._seen, LIVE_WAIT_MS if self._live else 0), now, self._on_reply)

    def _on_reply(self, reply: Reply | MienError) -> None:
        self._asking = False
        if not isinstance(reply, Preview) or reply.status.attempt != self._attempt:
            return  # the requests for results tell what went wrong
        self.note(reply.status)
        if reply.takes:
            self._seen = reply.status.preview
            self._deliver(reply.takes)
        if self._link is not None and self._live:
            self.step(self._link, self._now)
