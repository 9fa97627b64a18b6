# SPDX-License-Identifier: GPL-3.0-or-later
"""How late the results of a live capture are, and how many there are a second."""

from __future__ import annotations

from collections import deque

import numpy as np

LATE_FRAMES = 1000
"""Newest frames that `latency_ms` is about."""
RATE_FRAMES = 30
"""Newest frames that the rate, and what the user is told, are about."""


class Pace:
    """Notes when frames are done. All moments are of one clock, in seconds."""

    def __init__(self) -> None:
        self._late: deque[float] = deque(maxlen=LATE_FRAMES)
        self._done: deque[float] = deque(maxlen=RATE_FRAMES)

    def note(self, taken: float | None, now: float) -> None:
        """A frame is done.

        Args:
            taken: When its picture was taken; None for one that shows no face and is done sooner.
            now: When its result was shown.
        """
        self._done.append(now)
        if taken is not None:
            self._late.append(now - taken)

    def per_second(self, now: float) -> float:
        """Frames a second, lately; 0 before there are two."""
        span = now - self._done[0] if len(self._done) > 1 else 0.0
        return round((len(self._done) - 1) / span, 1) if span > 0 else 0.0

    def phrase(self) -> str:
        """How late results are lately, for people; empty where that is not known."""
        late = [*self._late][-RATE_FRAMES:]
        return f"{1e3 * float(np.median(late)):.0f} ms behind" if late else ""

    def latency_ms(self) -> dict[str, float]:
        """Milliseconds from a picture to its result: the median and the slowest twentieth."""
        if not self._late:
            return {}
        middle, slow = np.quantile(self._late, [0.5, 0.95]) * 1e3
        return {"median": round(float(middle), 1), "p95": round(float(slow), 1)}
