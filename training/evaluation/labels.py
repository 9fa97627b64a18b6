# SPDX-License-Identifier: GPL-3.0-or-later
"""What people said of faces, by file: the labels csv, and finding in it what belongs to a take or to a named code."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import TypeVar

import numpy as np

from blender_addon.contract.errors import MienError
from blender_addon.contract.models import EMOTIONS
from training.evaluation.csv_rows import CsvRow, bad_csv, read_rows

_ENDING = re.compile(r"(?<=[^/])\.[A-Za-z][A-Za-z0-9]{2,4}$")
_Value = TypeVar("_Value")
COLUMNS = ("file", "label", "valence", "arousal", "frame", "split", "subject")
SPLITS = ("train", "validation", "test")
_SPLIT_NAMES = {"training": "train", "val": "validation", "valid": "validation", "testing": "test"}
_NO_CLASS = ("8", "9", "10", "none", "uncertain", "occluded")
"""AffectNet's numbers and names of what is none of the eight."""
_NO_NUMBER = -2.0
"""AffectNet's valence and arousal of what shows no emotion."""

Parts = tuple[str, ...]
"""A file's path without its ending, from the outermost folder inwards."""


@dataclass(frozen=True, eq=False)
class Labels:
    """What N faces show.

    Attributes:
        label: (N,) int64 class in the order of `EMOTIONS`; -1 where there is none.
        valence, arousal: (N,) float32 -1 to 1; not a number where there is none, in both at once.
        subject: (N,) text, the person or clip; rows of one are never parted between training and testing.
        split: (N,) text: one of `SPLITS`, the number of a fold from 1, or empty.
    """

    label: np.ndarray
    valence: np.ndarray
    arousal: np.ndarray
    subject: np.ndarray
    split: np.ndarray

    def __len__(self) -> int:
        return len(self.label)

    def rows(self, chosen: np.ndarray) -> Labels:
        """Those of some rows, by index (K,) or (N,) mask."""
        return Labels(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def arrays(self) -> dict[str, np.ndarray]:
        """As they stand in files."""
        texts = {name: as_texts(getattr(self, name)) for name in ("subject", "split")}
        return {"label": self.label, "valence": self.valence, "arousal": self.arousal} | texts

    @property
    def rated(self) -> np.ndarray:
        """(N,) bool: which have valence and arousal."""
        return np.isfinite(self.valence)

    @property
    def any(self) -> np.ndarray:
        """(N,) bool: which have a class or valence and arousal."""
        return (self.label >= 0) | self.rated


def joined_labels(several: Sequence[Labels]) -> Labels:
    """Labels one after the other."""
    return Labels(*(np.concatenate([getattr(one, field.name) for one in several]) for field in fields(Labels)))


class LabelFile:
    """A labels csv: `file`, `label`, `valence`, `arousal` and, where they are there, `frame`, `split`, `subject`.

    Args:
        path: The table.

    Raises:
        MienError: MISSING_FILE, NOT_PERMITTED; BAD_MANIFEST, naming the line, for what is no label, for a file that
            stands there twice and for a table without rows.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        rows = read_rows(path, COLUMNS[:4], COLUMNS)
        if not rows:
            raise bad_csv(path, "has no labels", "Give it a line for each picture, or for each frame of a clip.")
        self.files = [row.cells["file"] for row in rows]
        self.by_frame = "frame" in rows[0].cells
        self.says_subjects = "subject" in rows[0].cells
        self.labels = _labels(rows)
        self._places = _places(rows, self.by_frame)
        self._ends = _ends(self._places)

    def find(self, places: Sequence[Parts], frame: int = 0) -> int | None:
        """Which row belongs to a face; None where none does.

        A name in the table and a place belong together where one is the end of the other: `1/a.jpg` and
        `/data/1/a.take.npz`. The longest name counts.

        Args:
            places: Where the face may be from, the surest first.
            frame: The source's own number of the frame, where the table tells frames.

        Raises:
            MienError: BAD_MANIFEST where several files of the table fit a place alike.
        """
        for place in places:
            for length in range(len(place), 0, -1):
                if (rows := self._places.get(place[-length:])) is not None:
                    return rows.get(frame if self.by_frame else 0)
            found = self._ends.get(place, ())
            if len(found) > 1:
                told = " and ".join("/".join(parts) for parts in found[:2])
                reason = f"has several files that '{'/'.join(place)}' may be: {told}"
                raise bad_csv(self.path, reason, "Name takes and codes with their folders, as in the table.")
            if found:
                return self._places[found[0]].get(frame if self.by_frame else 0)
        return None


def parts_of(text: str) -> Parts:
    """The parts of a file's path, of any system, without its ending; a number after a dot is part of the name."""
    plain = _ENDING.sub("", text.replace("\\", "/"))
    return tuple(part for part in PurePosixPath(plain).parts if part not in ("/", "."))


def parse_split(text: str) -> str:
    """One of `SPLITS`, the number of a fold, or an empty text.

    Raises:
        ValueError: It is none of them.
    """
    name = text.casefold()
    name = _SPLIT_NAMES.get(name, name)
    if name and name not in SPLITS and not re.fullmatch(r"[1-9]\d?", name):
        raise ValueError(f"the split '{text}'")
    return name


def _labels(rows: Sequence[CsvRow]) -> Labels:
    valence, arousal = (np.array([_number(row, name) for row in rows], np.float32) for name in ("valence", "arousal"))
    if len(half := np.flatnonzero(np.isfinite(valence) != np.isfinite(arousal))):
        raise rows[half[0]].refuse("one of valence and arousal without the other", "Give both, or neither.")
    label = np.array([_told(row, "label", _class) for row in rows], np.int64)
    split = [_told(row, "split", parse_split) if row.cells.get("split") else "" for row in rows]
    subject = [row.cells.get("subject") or "/".join(parts_of(row.cells["file"])) for row in rows]
    return Labels(label, valence, arousal, np.array(subject), np.array(split))


def _told(row: CsvRow, name: str, read: Callable[[str], _Value]) -> _Value:
    try:
        return read(row.cells[name])
    except ValueError as error:
        remedy = "docs/evaluation.md says what stands in the column."
        raise row.refuse(str(error), remedy) from error


def _class(text: str) -> int:
    name = text.casefold()
    if not name or name in _NO_CLASS:
        return -1
    if name in EMOTIONS:
        return EMOTIONS.index(name)
    if name.isdecimal() and int(name) < len(EMOTIONS):
        return int(name)
    raise ValueError(f"the label '{text}', which is no emotion,")


def _number(row: CsvRow, name: str) -> float:
    text = row.cells[name]
    try:
        value = float(text) if text else math.nan
    except ValueError:
        raise row.refuse(f"a {name} '{text[:20]}'", "Give a number from -1 to 1, or leave the cell empty.") from None
    if value == _NO_NUMBER:
        return math.nan
    if not math.isnan(value) and not -1 <= value <= 1:
        raise row.refuse(f"a {name} of {text}", "Bring it to -1 to 1; AFEW-VA's numbers are divided by 10.")
    return value


def _places(rows: Sequence[CsvRow], by_frame: bool) -> Mapping[Parts, dict[int, int]]:
    """By file the row of each frame; frame 0 where the table tells none."""
    places: dict[Parts, dict[int, int]] = {}
    for index, row in enumerate(rows):
        parts = parts_of(row.cells["file"])
        if not parts:
            raise row.refuse("no file", "Name the picture or clip that the labels are of.")
        frame = _told(row, "frame", _frame) if by_frame else 0
        known = places.setdefault(parts, {})
        if frame in known:
            what = f"{row.cells['file']} again (first in line {rows[known[frame]].line})"
            raise row.refuse(what, "Give each picture, or frame of a clip, one line.")
        known[frame] = index
    return MappingProxyType(places)


def _frame(text: str) -> int:
    if not text.isdecimal():
        raise ValueError(f"a frame '{text[:20]}', which is not a whole number from 0,")
    return int(text)


def _ends(places: Mapping[Parts, object]) -> Mapping[Parts, list[Parts]]:
    """Which files end in what, the whole file left out."""
    ends: dict[Parts, list[Parts]] = {}
    for parts in places:
        for start in range(1, len(parts)):
            ends.setdefault(parts[start:], []).append(parts)
    return ends


def as_texts(values: np.ndarray) -> np.ndarray:
    """Texts (N,) with room for one letter at least, which files of arrays need."""
    return values.astype(f"<U{max(1, *(len(text) for text in values))}" if len(values) else "<U1")


def unlabelled(path: Path | str, what: str) -> MienError:
    """The error where no label belongs to anything."""
    return bad_csv(Path(path), f"has no label for any of {what}", "Name files in it as the sources are called.")
