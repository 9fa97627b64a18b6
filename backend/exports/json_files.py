# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading JSON that others may have written."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import MAX_ARRAY_BYTES, atomic_write, file_error

from .tables import bad_import

_REMEDY = "Export the file anew, or use an undamaged copy."


@dataclass(frozen=True)
class Document:
    """A JSON object and its file."""

    path: Path
    values: dict[str, object]

    def list_of_tables(self, name: str) -> list[dict[str, object]]:
        """An entry that is a list of objects, at least one.

        Raises:
            MienError: BAD_IMPORT.
        """
        value = self.values.get(name)
        if not isinstance(value, list) or not value or not all(isinstance(item, dict) for item in value):
            raise bad_import(self.path, f"has no list of '{name}'", _REMEDY)
        return value

    def table(self, name: str) -> dict[str, object]:
        """An entry that is an object.

        Raises:
            MienError: BAD_IMPORT.
        """
        value = self.values.get(name)
        if not isinstance(value, dict):
            raise bad_import(self.path, f"has no '{name}'", _REMEDY)
        return value


def write_compact(path: Path, values: Mapping[str, object]) -> None:
    """Write values as JSON on one line: tables of numbers would have millions of lines else.

    Raises:
        MienError: NO_SPACE, NOT_PERMITTED or MISSING_FILE.
    """
    text = json.dumps(values, allow_nan=False, separators=(",", ":")) + "\n"
    atomic_write(path, lambda file: file.write(text.encode()))


def read_json(path: Path) -> Document:
    """Read a JSON object.

    Raises:
        MienError: BAD_IMPORT, MISSING_FILE, NOT_PERMITTED, TOO_LARGE.
    """
    try:
        if os.path.getsize(path) > MAX_ARRAY_BYTES:
            raise MienError(ErrorCode.TOO_LARGE, f"{path} is larger than any such file.", _REMEDY)
        values = json.loads(Path(path).read_bytes())
    except OSError as error:
        raise file_error(path, error, "read") from error
    except (ValueError, RecursionError) as error:
        raise bad_import(path, "is damaged or no JSON", _REMEDY) from error
    if not isinstance(values, dict):
        raise bad_import(path, "holds no JSON object", _REMEDY)
    return Document(Path(path), values)


def number_array(path: Path, rows: Sequence[Sequence[object]], width: int) -> np.ndarray:
    """(T, width) float64 of rows of JSON numbers and truths.

    Raises:
        MienError: BAD_IMPORT for a row of another length or with anything but finite numbers.
    """
    for number, row in enumerate(rows, start=1):
        if len(row) != width:
            raise bad_import(path, f"has {len(row)} values in frame {number} where {width} are expected", _REMEDY)
        if not all(isinstance(value, int | float) and math.isfinite(value) for value in row):
            raise bad_import(path, f"has something else than a number in frame {number}", _REMEDY)
    return np.array(rows, np.float64)
