# SPDX-License-Identifier: GPL-3.0-or-later
"""The head of whoever is followed, learnt from the first seconds while it is driven already."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from backend.faces.tracking import Sighting
from backend.solve.shot import Shot

LEARNING_FRAMES = 45
"""Frames of a person after which the head is learnt; until then it is that of the first one."""


class Learner:
    """Collects sightings of one person, then learns the head from them in a thread of its own.

    Args:
        learn: Makes a head from sightings. It must change nothing that others use: it runs beside them.
    """

    def __init__(self, learn: Callable[[Sequence[Sighting]], Shot]) -> None:
        self._learn = learn
        self._pool = ThreadPoolExecutor(1, "identity")
        self._seen: list[Sighting] | None = None
        self._learnt: Future[Shot] | None = None

    @property
    def done(self) -> bool:
        """Whether nothing more will be learnt of this person."""
        return self._seen is None and self._learnt is None

    def begin(self) -> None:
        """Somebody else: forget what was seen, and what is being learnt."""
        if self._learnt is not None:
            self._learnt.cancel()
        self._seen, self._learnt = [], None

    def add(self, sighting: Sighting) -> None:
        """Note a frame of the person."""
        if self._seen is None:
            return
        self._seen.append(sighting)
        if len(self._seen) >= LEARNING_FRAMES:
            self._learnt = self._pool.submit(self._learn, self._seen)
            self._seen = None

    def news(self) -> Shot | None:
        """What was learnt, once."""
        if self._learnt is None or not self._learnt.done():
            return None
        learnt, self._learnt = self._learnt, None
        return learnt.result()

    def close(self) -> None:
        """Wait for the thread to end."""
        self._pool.shutdown(cancel_futures=True)
