# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom the head follows: one person, steadily, until somebody else has clearly taken the place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backend.faces.appearance import similarity
from backend.faces.tracking import SAME_AGAIN, Sighting

LARGER = 1.5
"""How many times as large as the followed face, in area, another one must be ..."""
LARGER_SECONDS = 1.0
"""... for this long to be followed instead."""
AWAY_SECONDS = 1.0
"""How long the followed person may be away before somebody else is followed; after a cut nobody waits."""


@dataclass(frozen=True)
class Followed:
    """Whom the head follows in a frame.

    Attributes:
        sighting: The face; None where it is not there.
        new: Whether this is somebody else than before, or the first one.
    """

    sighting: Sighting | None
    new: bool = False


class Lead:
    """Chooses the face to follow, frame by frame.

    The largest face is followed, or the one that was asked for by its number. Whoever is lost and comes back is
    recognised by appearance. Where a number above 1 was asked for, a larger face never takes over.

    Args:
        number: Which face to begin with, from 1, the largest first; nobody is followed until there are so many.
    """

    def __init__(self, number: int = 1) -> None:
        self._number = number
        self._track: int | None = None
        self._appearance: np.ndarray | None = None
        self._seen = 0.0
        self._rival: tuple[int, float] | None = None
        """Track of a larger face and since when it has been larger."""

    def follow(self, time: float, sightings: Sequence[Sighting], cut: bool = False) -> Followed:
        """Whom to follow in the next frame.

        Args:
            time: Seconds.
            sightings: All faces.
            cut: Whether a new shot begins.
        """
        current = self._again(sightings)
        if current is not None:
            rival = self._overtaken(time, current, sightings)
            if rival is not None:
                return self._begin(time, rival)
            self._remember(time, current)
            return Followed(current)
        self._rival = None
        waits = self._track is not None and not cut and time - self._seen < AWAY_SECONDS
        if waits or len(sightings) < self._number:
            # After a cut the one who was followed may be missed at once.
            self._seen = -np.inf if cut else self._seen
            return Followed(None)
        return self._begin(time, sorted(sightings, key=_area, reverse=True)[self._number - 1])

    def _again(self, sightings: Sequence[Sighting]) -> Sighting | None:
        """The person who was followed before, by track or else by appearance."""
        for sighting in sightings:
            if sighting.track == self._track:
                return sighting
        if self._appearance is None or not sightings:
            return None
        likeness = [similarity(self._appearance, sighting.appearance) for sighting in sightings]
        best = int(np.argmax(likeness))
        return sightings[best] if likeness[best] >= SAME_AGAIN else None

    def _overtaken(self, time: float, current: Sighting, sightings: Sequence[Sighting]) -> Sighting | None:
        """Somebody who has been much larger for long enough."""
        largest = max(sightings, key=_area)
        if self._number > 1 or _area(largest) < LARGER * _area(current):
            self._rival = None
            return None
        if self._rival is None or self._rival[0] != largest.track:
            self._rival = (largest.track, time)
        return largest if time - self._rival[1] >= LARGER_SECONDS else None

    def _begin(self, time: float, sighting: Sighting) -> Followed:
        self._rival = self._appearance = None
        self._remember(time, sighting)
        return Followed(sighting, new=True)

    def _remember(self, time: float, sighting: Sighting) -> None:
        # The first frames of a track that was found again tell less than what is known.
        if self._appearance is None or 2 * sighting.appearance[-1] >= self._appearance[-1]:
            self._appearance = sighting.appearance
        self._track, self._seen = sighting.track, time


def _area(sighting: Sighting) -> float:
    return float(np.prod(sighting.face.box[2:] - sighting.face.box[:2]))
