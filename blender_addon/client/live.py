# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of a live capture, one thing after the other, so that none overtakes another."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from ..contract.errors import MienError
from ..contract.messages import ControlLive, LiveAction, Reply
from .connection import Connection


class LiveActions:
    """Actions for one live capture.

    Args:
        job: Its id.
        failed: Called with the error of an action that was refused.
    """

    def __init__(self, job: str, failed: Callable[[MienError], None]) -> None:
        self._job = job
        self._failed = failed
        self._queue: deque[ControlLive] = deque()
        self._number = 0
        self._asking = False

    def add(self, action: LiveAction) -> None:
        """Ask for an action with the next `step`."""
        # Numbers rise over restarts of Blender, too: a number that the backend has seen changes nothing.
        self._number = max(self._number + 1, time.time_ns() // 1_000_000)
        self._queue.append(ControlLive(self._job, action, self._number))

    def step(self, link: Connection, now: float) -> None:
        """Send the next action once the one before it was answered.

        Args:
            link: Where to ask.
            now: Monotonic seconds.
        """
        if self._queue and not self._asking:
            self._asking = True
            link.send(self._queue[0], now, self._on_reply)

    def _on_reply(self, reply: Reply | MienError) -> None:
        self._asking = False
        self._queue.popleft()
        if isinstance(reply, MienError):
            self._failed(reply)

    def reset(self) -> None:
        """Forget everything: the live capture ended with its backend."""
        self._queue.clear()
        self._asking = False
