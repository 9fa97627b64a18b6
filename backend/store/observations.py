# SPDX-License-Identifier: GPL-3.0-or-later
"""The faces that were seen in each frame of a clip, on disk: bounded memory for any length, kept when killed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from backend.faces.appearance import flat_face
from backend.faces.face import Face
from backend.faces.tracking import Sighting

from .records import RecordFile

FRAME = np.dtype([("index", "<i4"), ("cut", "?"), ("time", "<f8"), ("first", "<i8"), ("count", "<i4")])
"""A frame that was looked at: its index in the clip, whether a new shot begins with it, its seconds, and which of the
sightings are of it."""
BATCH = 64
"""Sightings that are read at once."""


@cache
def sighting_type() -> np.dtype:
    """A face in a frame; `frame` counts the frames that were looked at."""
    flat = flat_face()
    appearance = int(flat.texture_cells.sum() + 2 * flat.colour_cells.sum() + 1)
    return np.dtype(
        [
            ("frame", "<i4"),
            ("track", "<i4"),
            ("box", "<f4", 4),
            ("landmarks", "<f4", (478, 3)),
            ("blendshapes", "<f4", 52),
            ("presence", "<f8"),
            ("spread", "<f8"),
            ("sharpness", "<f4"),
            ("appearance", "<f4", appearance),
        ]
    )


class Observations:
    """What was seen in a range of a clip, frame by frame.

    Args:
        folder: Where the files are; made by the caller.

    Raises:
        MienError: NO_SPACE, NOT_PERMITTED or MISSING_FILE.
    """

    def __init__(self, folder: Path) -> None:
        self._frames = RecordFile(folder / "frames.bin", FRAME)
        self._sightings = RecordFile(folder / "sightings.bin", sighting_type())
        frames = self.frames()
        ends = frames["first"] + frames["count"]
        # Sightings are noted before their frame: a frame that lacks some has lost them to damage.
        self._frames.keep(int(np.searchsorted(ends, len(self._sightings), side="right")))
        # And those without a frame belong to one that was not finished.
        self._sightings.keep(int(ends[len(self._frames) - 1]) if len(self._frames) else 0)

    def __len__(self) -> int:
        """Frames that were looked at."""
        return len(self._frames)

    def append(self, index: int, time: float, cut: bool, sightings: Sequence[Sighting]) -> None:
        """Note what was seen in the next frame.

        Raises:
            MienError: NO_SPACE or NOT_PERMITTED.
        """
        frame, first = len(self._frames), len(self._sightings)
        records = [_record(frame, item) for item in sightings]
        self._sightings.append(np.concatenate([np.empty(0, sighting_type()), *records]))
        self._frames.append(np.array([(index, cut, time, first, len(sightings))], dtype=FRAME))

    def frames(self) -> np.ndarray:
        """(T,) records of type `FRAME`."""
        return self._frames.read(0, len(self._frames))

    def last(self) -> list[Sighting]:
        """The sightings of the last frame, from which a tracker goes on."""
        if not len(self._frames):
            return []
        frame = self._frames.read(len(self._frames) - 1, 1)[0]
        return [sighting(item) for item in self._sightings.read(int(frame["first"]), int(frame["count"]))]

    def batches(self) -> Iterator[np.ndarray]:
        """All sightings in order, some at a time: (N,) records of type `sighting_type`."""
        for first in range(0, len(self._sightings), BATCH):
            yield self._sightings.read(first, BATCH)

    def read(self, places: np.ndarray) -> np.ndarray:
        """The sightings at (N,) places, rising, counted through the file."""
        places = np.asarray(places)
        records = np.empty(len(places), dtype=sighting_type())
        runs = np.split(np.arange(len(places)), np.flatnonzero(np.diff(places) != 1) + 1) if len(places) else []
        for run in runs:
            records[run] = self._sightings.read(int(places[run[0]]), len(run))
        return records

    def close(self) -> None:
        """Close the files."""
        self._frames.close()
        self._sightings.close()


def sighting(record: np.void) -> Sighting:
    """A record of type `sighting_type` as the tracker knows it."""
    face = Face(
        box=record["box"],
        landmarks=record["landmarks"],
        blendshapes=record["blendshapes"],
        presence=float(record["presence"]),
        spread=float(record["spread"]),
    )
    return Sighting(int(record["track"]), face, record["sharpness"], record["appearance"])


def _record(frame: int, item: Sighting) -> np.ndarray:
    record = np.zeros(1, dtype=sighting_type())
    record["frame"], record["track"] = frame, item.track
    for name in ("box", "landmarks", "blendshapes", "presence", "spread"):
        record[name] = getattr(item.face, name)
    record["sharpness"], record["appearance"] = item.sharpness, item.appearance
    return record
