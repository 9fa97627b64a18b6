# SPDX-License-Identifier: GPL-3.0-or-later
"""What a dataset's own files say of each picture."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, overload

import numpy as np

Side = Literal["", "left", "right"]


@dataclass(frozen=True, slots=True)
class Record:
    """One picture.

    Attributes:
        name: its own in the dataset, with slashes and without ending: where its prepared files lie.
        picture: path of its file, or of the video, in the dataset's folder.
        frame: which frame of the video, from 0; -1 for a picture file.
        side: which of two people of a video.
        label: class of `EMOTIONS`, -1 for none.
        valence: -1 to 1, or not a number.
        arousal: likewise.
        person: the same for pictures of one person.
        box: left, top, right, bottom of the face in pixels as the dataset gives it; not numbers where it does not.
    """

    name: str
    picture: str
    frame: int = -1
    side: Side = ""
    label: int = -1
    valence: float = math.nan
    arousal: float = math.nan
    person: int = 0
    box: tuple[float, float, float, float] = (math.nan,) * 4


_SIDES: tuple[Side, ...] = ("", "left", "right")


class Records(Sequence[Record]):
    """Records in columns: millions of them fit into memory, and workers share them.

    Attributes:
        label: (N,) int64.
        person: (N,) int64.
    """

    def __init__(self, rows: Iterable[Record]) -> None:
        kept = list(rows)
        self._name = _texts([row.name for row in kept])
        self._picture = _texts([row.picture for row in kept])
        self._frame = np.array([row.frame for row in kept], np.int32)
        self._side = np.array([_SIDES.index(row.side) for row in kept], np.int8)
        self.label = np.array([row.label for row in kept], np.int64)
        self.person = np.array([row.person for row in kept], np.int64)
        self._affect = np.array([(row.valence, row.arousal) for row in kept], np.float32).reshape(-1, 2)
        self._box = np.array([row.box for row in kept], np.float32).reshape(-1, 4)

    def __len__(self) -> int:
        return len(self.label)

    def __iter__(self) -> Iterator[Record]:
        return (self[index] for index in range(len(self)))

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Record]: ...
    def __getitem__(self, index: int | slice) -> Record | Sequence[Record]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        valence, arousal = self._affect[index].tolist()
        return Record(
            self.name(index), bytes(self._picture[index]).decode(), int(self._frame[index]), _SIDES[self._side[index]],
            int(self.label[index]), valence, arousal, int(self.person[index]), tuple(self._box[index].tolist()),
        )  # fmt: skip

    def name(self, index: int) -> str:
        """Of one record."""
        return bytes(self._name[index]).decode()

    def by_person(self) -> list[np.ndarray]:
        """For each person the indices (N,) of the records that show it."""
        order = np.argsort(self.person, kind="stable")
        starts = np.flatnonzero(np.diff(self.person[order])) + 1
        return np.split(order, starts) if len(order) else []


def _texts(values: list[str]) -> np.ndarray:
    return np.array([value.encode() for value in values]) if values else np.zeros(0, "S1")
