# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbered pictures: which files make up a sequence."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from backend.media.footage import bad_clip
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import file_error

BY_FFMPEG = frozenset({".exr", ".dpx", ".hdr"})
"""Kinds of pictures that Pillow cannot read."""
HEIC_SUFFIXES = frozenset({".heic", ".heif", ".hif"})

# Names that Pillow knows but does not read as pictures.
_NO_PICTURES = frozenset({".mpg", ".mpeg", ".pdf", ".eps", ".ps", ".h5", ".hdf", ".grib", ".bufr", ".wmf", ".emf"})
_PATTERN = re.compile(r"#+|%0?[0-9]*d")
_NUMBER = re.compile(r"^(?P<before>.*?)(?P<number>[0-9]+)(?P<after>[^0-9]*)$")
_SPARSE = 100
"""Numbers per file from which on a row of files is not a sequence but a collection with dates or ids for names."""
_SURELY = 4
"""Pictures from which on a row found in a folder of all kinds of files is taken for a sequence."""
_LARGEST = 2**31 - 1


@dataclass(frozen=True)
class Numbered:
    """Files of one sequence.

    Attributes:
        pattern: The name with `#` for the digits.
        files: By number, increasing.
        missing: Numbers between the first and the last without a file.
    """

    pattern: Path
    files: dict[int, Path]
    missing: tuple[int, ...]


def is_pattern(path: Path) -> bool:
    """Whether a path is a pattern (`shot.####.png`, `shot.%04d.png`); a file that has just this name is none."""
    return _PATTERN.search(path.name) is not None and not os.path.lexists(path)


def find_numbered(path: Path) -> Numbered:
    """The sequence that a folder or a pattern means.

    `####` stands for a number of at least four digits, `#` and `%d` for any number; the last such group of the name
    counts. In a folder the last digits of a name (before the suffix) are its number; hidden files and files that are
    no pictures are left alone, and so are single pictures beside a sequence.

    Args:
        path: An existing folder, or a pattern.

    Raises:
        MienError: MISSING_FILE, NOT_PERMITTED, or BAD_CLIP with `details["cause"]` "folder_empty", "not_numbered",
            "several" (the message names the patterns), "same_number" or "numbering".
    """
    return _in_folder(path) if os.path.isdir(path) else _of_pattern(path)


def _names(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if not entry.name.startswith(".") and entry.is_file())
    except OSError as error:
        raise file_error(folder, error, "read") from error


def _of_pattern(path: Path) -> Numbered:
    *_, group = _PATTERN.finditer(path.name)
    text = group.group()
    least = len(text) if text[0] == "#" else int(text.strip("%d") or 1)
    before, after = path.name[: group.start()], path.name[group.end() :]
    # More digits than asked for are a number that has outgrown its padding, which then begins with no zero.
    digits = "[0-9]+" if least == 1 else f"(?:[0-9]{{{least}}}|[1-9][0-9]{{{least},}})"
    name = re.compile(f"{re.escape(before)}({digits}){re.escape(after)}")
    matches = map(name.fullmatch, _names(path.parent))
    found = [(int(match[1]), path.parent / match.string) for match in matches if match]
    if not found:
        raise MienError(
            ErrorCode.MISSING_FILE,
            f"{path} fits no file in {path.parent}.",
            "Check the name: each # stands for a digit, as in shot.####.png for shot.0001.png.",
            {"path": str(path)},
        )
    return _checked(path, path, found)


def _in_folder(folder: Path) -> Numbered:
    pictures = [name for name in _names(folder) if _is_picture(name)]
    if not pictures:
        remedy = "Choose the folder that holds the numbered pictures, or give the path of a video."
        raise bad_clip(folder, "folder_empty", "is a folder without pictures", remedy)
    rows, patterns = _rows(folder, pictures)
    if not rows:
        reason = "is a folder of pictures whose names hold no numbers, so their order is unknown"
        raise bad_clip(folder, "not_numbered", reason, "Number the pictures, as in shot.0001.png, or give one of them.")
    long = [row for row in rows if len(rows[row]) > 1] or list(rows)
    if len(long) > 1:
        longest = sorted(long, key=lambda row: -len(rows[row]))[:4]
        names = ", ".join(f"{patterns[row]} ({len(rows[row])})" for row in longest)
        reason = f"is a folder with {len(long)} sequences of pictures: {names}{', ...' if len(long) > 4 else ''}"
        remedy = f"Give the one you mean by its pattern, for example {folder / patterns[longest[0]]}."
        raise bad_clip(folder, "several", reason, remedy)
    return _checked(folder, folder / patterns[long[0]], rows[long[0]])


def sequences_and_stills(folder: Path) -> tuple[list[Numbered], list[Path]]:
    """Every sequence in a folder, and the pictures that belong to none.

    A row of at least `_SURELY` pictures that holds most of the numbers between its first and its last is a sequence;
    a few photos that a camera has numbered are not.

    Args:
        folder: An existing folder; its sub-folders are not looked into.

    Raises:
        MienError: MISSING_FILE or NOT_PERMITTED.
    """
    pictures = [name for name in _names(folder) if _is_picture(name)]
    rows, patterns = _rows(folder, pictures)
    sequences = []
    for row, found in rows.items():
        numbers = sorted({number for number, _ in found})
        span = numbers[-1] - numbers[0] + 1
        if len(numbers) == len(found) >= _SURELY and span < 2 * len(found) and numbers[-1] <= _LARGEST:
            sequences.append(_checked(folder, folder / patterns[row], found))
    taken = {path for sequence in sequences for path in sequence.files.values()}
    return sequences, [folder / name for name in pictures if folder / name not in taken]


_Rows = dict[tuple[str, str], list[tuple[int, Path]]]


def _rows(folder: Path, pictures: list[str]) -> tuple[_Rows, dict[tuple[str, str], str]]:
    """Pictures whose names differ in one number, by what stands before and after it; and each row's pattern."""
    rows: _Rows = defaultdict(list)
    width: dict[tuple[str, str], int] = {}
    for name in pictures:
        stem, suffix = os.path.splitext(name)
        if match := _NUMBER.match(stem):
            row = match["before"], match["after"] + suffix
            rows[row].append((int(match["number"]), folder / name))
            width[row] = min(width.get(row, 99), len(match["number"]))
    return rows, {row: f"{row[0]}{'#' * width[row]}{row[1]}" for row in rows}


def _is_picture(name: str) -> bool:
    suffix = os.path.splitext(name)[1].lower()
    return suffix in BY_FFMPEG or suffix in still_suffixes()


def still_suffixes() -> frozenset[str]:
    """Suffixes of single pictures, in lower case."""
    return frozenset(Image.registered_extensions()) - _NO_PICTURES | HEIC_SUFFIXES


def _checked(path: Path, pattern: Path, found: list[tuple[int, Path]]) -> Numbered:
    found = sorted(found)
    for (number, one), (following, other) in zip(found, found[1:], strict=False):
        if number == following:
            reason = f"holds the number {number} twice: {one.name} and {other.name}"
            remedy = "Remove one of them, or give a pattern such as shot.####.png that fits only one."
            raise bad_clip(path, "same_number", reason, remedy)
    first, last = found[0][0], found[-1][0]
    if last > _LARGEST or last - first > _SPARSE * len(found):
        reason = f"holds {len(found)} pictures with numbers from {first} to {last}, which are no frame numbers"
        raise bad_clip(path, "numbering", reason, "Number the pictures one after another, as in shot.0001.png.")
    files = dict(found)
    return Numbered(pattern, files, tuple(number for number in range(first, last) if number not in files))
