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
"""Overlays of this many jobs can be drawn, the newest ones: each holds its photo in memory, ..."""
KEEP_BYTES = 256 << 20
"""... which together, apart from the newest one's, take no more than this."""


class Overlays:
    """Overlays of finished jobs that are not drawn yet. Safe for use by two threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._draws: dict[str, Draw] = {}
        self._sizes: dict[str, int] = {}
        self._wanted: set[str] = set()
        self._errors: dict[str, MienError] = {}

    def offer(self, job: str, draw: Draw, size: int = 0) -> None:
        """Take note of how an overlay is drawn, and of the bytes that this holds in memory."""
        with self._lock:
            self._draws.pop(job, None)  # so that it becomes the newest
            self._draws[job], self._sizes[job] = draw, size
            self._errors.pop(job, None)
            older = [name for name in self._draws if name not in self._wanted and name != job]
            while older and (len(older) >= KEEP or sum(self._sizes[name] for name in older) > KEEP_BYTES):
                self._forget(older.pop(0))

    def _forget(self, job: str) -> None:
        self._draws.pop(job, None)
        self._sizes.pop(job, None)

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
            self._forget(job)
            if error is not None:
                self._errors[job] = error
