# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables of numbers as CSV: a line of names, then one line for each frame."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import MAX_ARRAY_BYTES, atomic_write, file_error


@dataclass(frozen=True)
class Table:
    """A CSV file as it was read: texts, not yet numbers.

    Attributes:
        path: The file, for errors.
        names: The first line, stripped of spaces.
        rows: Line number and cells of every other line that is not empty; as many cells as the line has.
    """

    path: Path
    names: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]

    def refuse(self, reason: str, remedy: str = "Export the file anew, or use an undamaged copy.") -> MienError:
        """The error of a file with something wrong in it."""
        return bad_import(self.path, reason, remedy)

    def numbers(self, columns: Sequence[str]) -> np.ndarray:
        """(T, C) float64 of columns, by name.

        Raises:
            MienError: BAD_IMPORT for a missing column, a row that is cut off, and what is no finite number.
        """
        if missing := [name for name in columns if name not in self.names]:
            raise self.refuse(f"lacks the column {missing[0]}")
        places = [self.names.index(name) for name in columns]
        return np.array([self._row(line, cells, places) for line, cells in self.rows]).reshape(-1, len(places))

    def _row(self, line: int, cells: Sequence[str], places: Sequence[int]) -> list[float]:
        if len(cells) != len(self.names):
            raise self.refuse(f"has {len(cells)} values in line {line} where {len(self.names)} are expected")
        return [self.number(line, self.names[place], cells[place]) for place in places]

    def number(self, line: int, name: str, text: str) -> float:
        """One finite number of a line.

        Raises:
            MienError: BAD_IMPORT.
        """
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise self.refuse(f"has {text[:20]!r} for {name} in line {line}, which is not a number")
        return value


def bad_import(path: str | os.PathLike[str], reason: str, remedy: str) -> MienError:
    """The error of a file that cannot become a take: its path, then the reason."""
    return MienError(ErrorCode.BAD_IMPORT, f"{path} {reason}.", remedy, {"path": str(path)})


def read_table(path: Path) -> Table:
    """Read a CSV file with a line of names.

    Raises:
        MienError: BAD_IMPORT for a file that is empty or no text; MISSING_FILE, NOT_PERMITTED, TOO_LARGE.
    """
    remedy = "Choose a CSV file with a line of column names and a line for each frame."
    try:
        if os.path.getsize(path) > MAX_ARRAY_BYTES:
            raise MienError(ErrorCode.TOO_LARGE, f"{path} is larger than any such file.", remedy)
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            rows = [(reader.line_num, tuple(cell.strip() for cell in cells)) for cells in reader if any(cells)]
    except OSError as error:
        raise file_error(path, error, "read") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise bad_import(path, "is not a text of values between commas", remedy) from error
    if len(rows) < 2:
        raise bad_import(path, "is empty" if not rows else "has no frames", remedy)
    return Table(path, rows[0][1], tuple(rows[1:]))


def write_table(path: Path, names: Sequence[str], rows: Iterable[str]) -> None:
    """Write a CSV file of lines that are already texts.

    Raises:
        MienError: NO_SPACE, NOT_PERMITTED or MISSING_FILE.
    """

    def write(file: BinaryIO) -> None:
        file.write((",".join(names) + "\n").encode())
        file.writelines(f"{row}\n".encode() for row in rows)

    atomic_write(path, write)


def lines(numbers: np.ndarray, decimals: int) -> Iterator[str]:
    """Each row of (T, C) numbers as a text with a fixed number of decimals."""
    pattern = ",".join([f"%.{decimals}f"] * numbers.shape[1])
    return (pattern % tuple(row) for row in numbers.tolist())


def exactly(values: np.ndarray) -> Iterator[str]:
    """Each of (T,) numbers as the shortest text that gives the same number again."""
    return (repr(value) for value in values.tolist())
