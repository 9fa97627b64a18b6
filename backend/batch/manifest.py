# SPDX-License-Identifier: GPL-3.0-or-later
"""A list of shots as a table (CSV): what is wrong with it is told with its line numbers before any work."""

from __future__ import annotations

import argparse
import csv
import io
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from backend.arguments import frame_range, positive
from backend.exports.formats import check_formats
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import file_error

from .naming import checked_name, default_name, same_places, told_apart
from .shot import Shot

COLUMNS = (
    "file", "name", "range", "person", "engine", "head", "weights", "identity", "displacement", "focal", "fps",
    "smoothing", "formats",
)  # fmt: skip
"""Names of columns; only `file` has to be there."""
HEAD_IDS = ("open", "flame2020", "flame2023", "flame2023_open")
"""Heads that are named rather than a file."""
_OTHER_NAMES = {"focal length": "focal", "output formats": "formats"}
_LARGEST_BYTES = 32 << 20
_MOST_TOLD = 10


@dataclass(frozen=True)
class _Row:
    """A row of the table: the shot that it asks for, its name only where one was given."""

    line: int
    shot: Shot


def read_manifest(path: Path, common: Shot) -> list[Shot]:
    """The shots of a manifest in its order.

    Args:
        path: The table: UTF-8, cells separated by commas or semicolons. Paths in it are relative to its folder.
        common: What holds where a cell is empty or a column is missing; its name and source do not count.

    Raises:
        MienError: MISSING_FILE, NOT_PERMITTED; BAD_MANIFEST, naming each line that is wrong.
    """
    path = Path(os.path.abspath(path))
    text = _text(path)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    rows: list[_Row] = []
    problems: list[str] = []
    try:
        header = _header(path, next(reader, []))
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            try:
                rows.append(_Row(reader.line_num, _shot(path, header, cells, common)))
            except ValueError as error:
                problems.append(f"line {reader.line_num}: {error}")
    except csv.Error as error:
        problems.append(f"line {reader.line_num}: {error}")
    if not problems and not rows:
        problems.append("it lists no shots")
    if not problems:
        shots = _named(path, rows)
        problems = _clashes(rows, shots)
    if problems:
        raise _bad(path, problems)
    return shots


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_BYTES + 1)
    except OSError as error:
        raise file_error(path, error, "read") from error
    if len(content) > _LARGEST_BYTES:
        raise _bad(path, [f"it is larger than {_LARGEST_BYTES >> 20} MB"])
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _bad(path, [f"line {content[: error.start].count(10) + 1}: it is not text in UTF-8"]) from error
    if "\0" in text:
        raise _bad(path, [f"line {text[: text.index(chr(0))].count(chr(10)) + 1}: it is not text"])
    return text


def _delimiter(text: str) -> str:
    """What separates cells: a semicolon where the first line has one and no comma, as some countries' tables do."""
    first = text.partition("\n")[0]
    return ";" if ";" in first and "," not in first else ","


def _header(path: Path, cells: Sequence[str]) -> list[str]:
    names = [re.sub(r"[\s_]+", " ", cell.strip().lower()) for cell in cells]
    names = [_OTHER_NAMES.get(name, name) for name in names]
    problems = [f"line 1: there is no column {name!r}" for name in names if name not in COLUMNS]
    problems += [f"line 1: the column {name!r} is there twice" for name in COLUMNS if names.count(name) > 1]
    if "file" not in names:
        problems.append("line 1: the column 'file' is missing")
    if problems:
        raise _bad(path, problems)
    return names


def _shot(path: Path, header: Sequence[str], cells: Sequence[str], common: Shot) -> Shot:
    """The shot of a row.

    Raises:
        ValueError: What is wrong with it.
    """
    if len(cells) > len(header):
        raise ValueError(f"there are {len(cells)} cells for {len(header)} columns")
    given = {name: cell.strip() for name, cell in zip(header, cells, strict=False) if cell.strip()}
    if "file" not in given:
        raise ValueError("the column 'file' is empty")
    options: dict[str, object] = {"source": _path(path, given["file"])}
    for name, read in _READERS.items():
        if name in given:
            try:
                options |= read(given[name])
            except (ValueError, argparse.ArgumentTypeError) as error:
                raise ValueError(f"{name}: {error}") from error
    if "head" in given:
        options["head"] = given["head"] if given["head"] in HEAD_IDS else _path(path, given["head"])
    elif options.get("engine", common.options.engine) != common.options.engine:
        options["head"] = ""  # the engine's own, not that of the others
    try:
        asked = replace(common.options, **options)  # type: ignore[arg-type]  # checked there
        names = re.split(r"[\s,;+]+", given["formats"]) if "formats" in given else common.formats
        name = checked_name(given["name"]) if "name" in given else ""
        return Shot(name, asked, check_formats(names, asked.head))
    except MienError as error:
        raise ValueError(str(error)[:1].lower() + str(error)[1:].rstrip(".")) from error


def _path(manifest: Path, text: str) -> str:
    if "\0" in text:
        raise ValueError("the path holds a zero")
    return os.path.abspath(manifest.parent / text)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text} is not a number") from None


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise ValueError(f"{text} is not a whole number from 0")
    return int(text)


def _range(text: str) -> dict[str, object]:
    first, last = frame_range(text)
    return {"first_frame": first, "last_frame": last}


def _person(text: str) -> dict[str, object]:
    everyone = text.lower() == "all"
    return {"all_faces": everyone, "face": None if everyone else positive(text)}


_READERS: Mapping[str, Callable[[str], dict[str, object]]] = {
    "range": _range,
    "person": _person,
    "engine": lambda text: {"engine": text},
    "weights": lambda text: {"weights": text},
    "identity": lambda text: {"identity": text},
    "displacement": lambda text: {"displacement": _whole(text)},
    "focal": lambda text: {"focal_mm": _number(text)},
    "fps": lambda text: {"fps": _number(text)},
    "smoothing": lambda text: {"smoothing": _number(text)},
}
"""What a cell means for the capture's options, by its column."""


def _named(path: Path, rows: Sequence[_Row]) -> list[Shot]:
    """The shots, those without a name called after their files."""
    plain = [row.shot for row in rows if not row.shot.name]
    sources = [Path(shot.options.source) for shot in plain]
    names = iter(told_apart([default_name(source, path.parent) for source in sources], sources))
    return [row.shot if row.shot.name else replace(row.shot, name=next(names)) for row in rows]


def _clashes(rows: Sequence[_Row], shots: Sequence[Shot]) -> list[str]:
    problems = []
    for group in same_places([shot.name for shot in shots]):
        lines = " and ".join(str(rows[position].line) for position in group[:4])
        place = shots[group[0]].name
        problems.append(f"lines {lines} would write the same folder {place}, so give them names in a column 'name'")
    return problems


def _bad(path: Path, problems: Sequence[str]) -> MienError:
    more = f"; and {len(problems) - _MOST_TOLD} more" if len(problems) > _MOST_TOLD else ""
    message = f"The list of shots {path} cannot be used: {'; '.join(problems[:_MOST_TOLD])}{more}."
    remedy = f"The columns are {', '.join(COLUMNS)}, and only file is needed: correct it and run the command again."
    return MienError(ErrorCode.BAD_MANIFEST, message, remedy, {"path": str(path), "problems": list(problems)})
