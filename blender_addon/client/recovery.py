# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a backend that died is started anew, and which captures go on then."""

from __future__ import annotations

from collections.abc import Iterable

from ..contract.errors import ErrorCode, MienError
from .capture import MOST_RESTARTS, Capture


class Recovery:
    """Counts deaths. A capture during which the backend dies again and again without getting any further fails, and
    the others go on; a backend that dies again and again before it is ready fails them all.
    """

    def __init__(self) -> None:
        self._failed_starts = 0
        self._restarting = False

    def ready(self) -> None:
        """The backend has loaded its models."""
        self._failed_starts = 0
        self._restarting = False

    def going_on(self, error: MienError, welcomed: bool, ready: bool, captures: Iterable[Capture]) -> list[Capture]:
        """The captures for which the backend shall be started anew; empty where it shall not.

        Args:
            error: Why the backend is gone.
            welcomed: Whether it ever answered.
            ready: Whether it had loaded its models.
            captures: All captures, in the order of their submission; one of them may be ended with `error`.
        """
        alive = [capture for capture in captures if not capture.over]
        if error.code is not ErrorCode.BACKEND_DIED or not (welcomed or self._restarting):
            return []
        culprit = _culprit(alive)
        if culprit is not None and (ready or culprit.running):
            if culprit.strike():
                culprit.fail(error)
                alive.remove(culprit)
        else:
            self._failed_starts += 1
            if self._failed_starts > MOST_RESTARTS:
                return []
        self._restarting = True
        return alive


def _culprit(captures: list[Capture]) -> Capture | None:
    """The capture that the backend was busy with: one that is known to run, or else the first that it has got."""
    running = (capture for capture in captures if capture.running)
    return next(running, next((capture for capture in captures if capture.handed_over), None))
