# SPDX-License-Identifier: GPL-3.0-or-later
"""Which overlays can be drawn, and which are wanted.

Drawing takes longer than a capture, so it waits until it is asked for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np

from blender_addon.contract.errors import MienError

Draw = Callable[[], np.ndarray]

KEEP = 4
"""Overlays of this many jobs can be drawn, the newest ones: each holds its photo in memory."""


class Overlays:
    """Overlays of finished jobs that are not drawn yet. Safe for use by two threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._draws: dict[str, Draw] = {}
        self._wanted: set[str] = set()
        self._errors: dict[str, MienError] = {}

    def offer(self, job: str, draw: Draw) -> None:
        """Take note of how an overlay is drawn."""
        with self._lock:
            self._draws[job] = draw
            self._errors.pop(job, None)
            for old in [name for name in self._draws if name not in self._wanted][:-KEEP]:
                del self._draws[old]

    def want(self, job: str) -> bool:
        """Ask for an overlay; says whether it can be drawn.

        Raises:
            MienError: Why drawing it failed.
        """
        with self._lock:
            if job in self._errors:
                raise self._errors[job]
            if job in self._draws:
                self._wanted.add(job)
            return job in self._draws

    def wanted(self) -> list[tuple[str, Draw]]:
        """What shall be drawn now."""
        with self._lock:
            return [(job, self._draws[job]) for job in self._wanted]

    def done(self, job: str, error: MienError | None) -> None:
        """Take note that an overlay was drawn or could not be."""
        with self._lock:
            self._wanted.discard(job)
            self._draws.pop(job, None)
            if error is not None:
                self._errors[job] = error
