# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of arrays that other programs wrote, whatever they are packed in; nothing in them is ever run."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from backend.weights.restricted import load_restricted
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import file_error

from .tables import bad_import

SUFFIXES = (".npz", ".npy", ".pkl", ".pickle", ".pt", ".pth", ".frame")
_REMEDY = "Choose the file that the program wrote, undamaged."


@dataclass(frozen=True, eq=False)
class Record:
    """A table of arrays by name, and the file they are from."""

    path: Path
    values: Mapping[str, object]

    def refuse(self, reason: str, remedy: str = _REMEDY) -> MienError:
        """The error of a file with something wrong in it."""
        return bad_import(self.path, reason, remedy)

    def inner(self, name: str) -> Record:
        """A table within the table.

        Raises:
            MienError: BAD_IMPORT.
        """
        value = self.values.get(name)
        if not isinstance(value, dict):
            raise self.refuse(f"has no '{name}'")
        return Record(self.path, value)

    def optional(self, name: str, width: int | None) -> np.ndarray | None:
        """(T, width) float64 of an array, None where there is none; `width` None takes any.

        A single row may lack its first axis, and axes of one are left out.

        Raises:
            MienError: BAD_IMPORT for what is not finite numbers, or another width.
        """
        if (value := self.values.get(name)) is None:
            return None
        array = np.asarray(value) if isinstance(value, np.ndarray | np.generic | int | float | list) else None
        if array is None or array.dtype.kind not in "biuf" or not np.isfinite(array).all():
            raise self.refuse(f"has a '{name}' that is not finite numbers")
        array = array.astype(np.float64)
        rows = array.reshape(len(array) if array.ndim > 1 else 1, -1)
        if width is not None and rows.shape[1] != width and rows.size % width == 0 and rows.size == width:
            rows = rows.reshape(1, width)
        if width is not None and rows.shape[1] != width:
            raise self.refuse(f"has a '{name}' of shape {array.shape} where {width} numbers are expected")
        return rows

    def series(self, name: str, frames: int, width: int | None = None) -> np.ndarray:
        """(frames, width) float64 of an array; one row stands for all frames.

        Raises:
            MienError: BAD_IMPORT, also where the array is missing or has another number of frames.
        """
        rows = self.optional(name, width)
        if rows is None:
            raise self.refuse(f"has no '{name}'")
        if len(rows) not in (1, frames):
            raise self.refuse(f"has {len(rows)} frames of '{name}' where {frames} are expected")
        return np.broadcast_to(rows, (frames, rows.shape[1])).copy()

    def frames(self, *names: str) -> int:
        """Number of frames: the most that any of these arrays has.

        Raises:
            MienError: BAD_IMPORT.
        """
        return max(1, *(len(rows) for name in names if (rows := self.optional(name, None)) is not None))

    def has(self, *names: str) -> bool:
        """Whether all of these are there."""
        return all(name in self.values for name in names)


def read_records(path: Path) -> Iterator[Record]:
    """Every frame's record of a folder in the order of their numbers, of a list in one file, or of a file alone.

    A folder of single arrays (`shape.npy`, `exp.npy`, ...) is one record. Each file is read when it is its turn.

    Raises:
        MienError: BAD_IMPORT, also for a file that wants to run something; MISSING_FILE, NOT_PERMITTED, TOO_LARGE.
    """
    if not os.path.isdir(path):
        content = load_restricted(path, code=ErrorCode.BAD_IMPORT)
        tables = content if isinstance(content, list) and content else [content]
        if not all(isinstance(table, dict) for table in tables):
            raise bad_import(path, "holds no table of named arrays", _REMEDY)
        yield from (Record(path, {str(name): value for name, value in table.items()}) for table in tables)
        return
    names = listed(path)
    arrays = [name for name in names if name.endswith(".npy") and not re.search(r"\d", name)]
    if arrays:
        contents = {Path(name).stem: load_restricted(path / name, code=ErrorCode.BAD_IMPORT) for name in arrays}
        yield Record(path, contents)
        return
    files = [name for name in names if name.lower().endswith(SUFFIXES)]
    folders = [] if files else [name for name in names if os.path.isdir(path / name)]
    if not files and not folders:
        raise bad_import(path, "has no files of parameters", _REMEDY)
    for name in files or folders:
        yield from read_records(path / name)


def listed(folder: Path) -> list[str]:
    """Names in a folder, without hidden ones, ordered by the numbers in them.

    Raises:
        MienError: MISSING_FILE or NOT_PERMITTED.
    """
    try:
        names = [name for name in os.listdir(folder) if not name.startswith(".")]
    except OSError as error:
        raise file_error(folder, error, "read") from error
    return sorted(names, key=natural)


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sorts 2 before 10."""
    parts = re.findall(r"\d+|\D+", name)
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts)


def joined(records: list[Record], path: Path) -> Record:
    """Records of single frames as one with a time axis.

    Raises:
        MienError: BAD_IMPORT where a frame has other arrays than the first, or another shape.
    """
    if len(records) == 1:
        return records[0]
    values: dict[str, object] = {}
    for name in records[0].values:
        if isinstance(records[0].values[name], str | bytes | dict | list) or not _numeric(records[0].values[name]):
            continue
        for record in records:
            if name not in record.values:
                raise record.refuse(f"has no '{name}', which the first frame has")
        rows = [record.optional(name, None) for record in records]
        if any(row.shape != rows[0].shape for row in rows):
            raise bad_import(path, f"has frames whose '{name}' have different shapes", _REMEDY)
        values[name] = np.concatenate(rows)
    return Record(path, values)


def _numeric(value: object) -> bool:
    array = np.asarray(value) if isinstance(value, np.ndarray | np.generic | int | float) else None
    return array is not None and array.dtype.kind in "biuf"
