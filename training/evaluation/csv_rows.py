# SPDX-License-Identifier: GPL-3.0-or-later
"""CSV files that people write: rows by the names of their columns, with line numbers for what is wrong in them."""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import file_error


@dataclass(frozen=True)
class CsvRow:
    """A line of a file.

    Attributes:
        path: The file.
        line: Its number, from 1.
        cells: Text without spaces at its ends, by the column's name in small letters; empty where the line has none.
    """

    path: Path
    line: int
    cells: Mapping[str, str]

    def refuse(self, reason: str, remedy: str) -> MienError:
        """The error of a line with something wrong in it."""
        return bad_csv(self.path, f"has {reason} in line {self.line}", remedy)


def bad_csv(path: Path, reason: str, remedy: str) -> MienError:
    """The error of a table that cannot be used: its path, then the reason."""
    return MienError(ErrorCode.BAD_MANIFEST, f"{path} {reason}.", remedy, {"path": str(path)})


def read_rows(path: Path, required: Sequence[str], known: Collection[str]) -> list[CsvRow]:
    """The rows of a table with a line of names; empty lines are left out.

    Args:
        path: UTF-8, cells separated by commas.
        required: Columns that have to be there, in small letters.
        known: Columns that may be there; others are refused, since they are mostly slips of the pen.

    Raises:
        MienError: MISSING_FILE, NOT_PERMITTED; BAD_MANIFEST.
    """
    remedy = f"Give it a first line with the columns {', '.join(required)}; docs/evaluation.md describes the others."
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            lines = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader if any(cells)]
    except OSError as error:
        raise file_error(path, error, "read") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise bad_csv(path, "is not a text of values between commas", remedy) from error
    if not lines:
        raise bad_csv(path, "is empty", remedy)
    names = [name.casefold() for name in lines[0][1]]
    if missing := [name for name in required if name not in names]:
        raise bad_csv(path, f"lacks the column '{missing[0]}'", remedy)
    if strange := [name for name in names if name not in known]:
        raise bad_csv(path, f"has a column '{strange[0]}', which is not known", remedy)
    if len(set(names)) < len(names):
        raise bad_csv(path, "has a column twice", remedy)
    rows = []
    for line, cells in lines[1:]:
        if len(cells) > len(names):
            reason = f"{len(cells)} cells where {len(names)} are expected"
            raise CsvRow(path, line, {}).refuse(reason, "Put quotes around commas in texts.")
        rows.append(CsvRow(path, line, dict.fromkeys(names, "") | dict(zip(names, cells, strict=False))))
    return rows
