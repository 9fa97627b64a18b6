# SPDX-License-Identifier: GPL-3.0-or-later
"""The messages about takes in other programs' formats. Files travel as bytes: no end touches the other's disk."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from .schema import bad_message
from .take import Take

MAX_EXPORT = 256 << 20
"""Most bytes of one export, all files together."""

_ID = re.compile(r"[0-9a-f]{32}")
_MAX_PART = 255
_LONG_ENOUGH = 200
_FORBIDDEN = re.compile(r'[\x00-\x1f\\/:*?"<>|]')


def is_file_name(text: str) -> bool:
    """Whether this names a file inside a folder on every system: no separators, no way up, no device."""
    if len(text.encode("utf-8", "surrogatepass")) > _MAX_PART or _FORBIDDEN.search(text):
        return False
    return text.rstrip(" .") == text != ""  # Windows drops dots and spaces at the end


def to_file_name(text: str) -> str:
    """A file name for a thing of any name; short enough for suffixes."""
    plain = _FORBIDDEN.sub("_", text).encode("utf-8", "replace")[:_LONG_ENOUGH].decode("utf-8", "ignore")
    return plain.rstrip(" .") or "_"


@dataclass(frozen=True)
class ListFormats:
    """Which formats can takes be written in? Answered by `Formats`."""


@dataclass(frozen=True, eq=False)
class ExportTake:
    """Write a take in a format. Answered by `Exported`, within a second; repeated until that has the files.

    Attributes:
        export: Id chosen by the client, 32 hex digits: a request with one that was seen before starts nothing anew.
        take: The take.
        format: Name of the format.
        stem: Name of the file without the format's suffix.
    """

    export: str
    take: Take
    format: str
    stem: str

    def __post_init__(self) -> None:
        _check_id(self.export)
        if not is_file_name(self.stem):
            raise bad_message("a name of an export that is no file name")


@dataclass(frozen=True)
class TakeFormat:
    """A format.

    Attributes:
        name: Its name.
        title: What it is, for people.
        suffix: What the file's name ends in, with the dot.
    """

    name: str
    title: str
    suffix: str


@dataclass(frozen=True)
class Formats:
    """All formats that takes can be written in."""

    formats: tuple[TakeFormat, ...]


@dataclass(frozen=True, eq=False)
class ExportedFile:
    """One file of an export.

    Attributes:
        path: Relative to where the export goes, with `/` between folders.
        data: (N,) uint8.
    """

    path: str
    data: np.ndarray

    def __post_init__(self) -> None:
        if not all(is_file_name(part) for part in self.path.split("/")):
            raise bad_message("a name of a file that leads elsewhere")
        if self.data.dtype != np.uint8 or self.data.ndim != 1:
            raise bad_message("a file that is not bytes")


@dataclass(frozen=True, eq=False)
class Exported:
    """The files of an export; None while they are being written."""

    export: str
    files: tuple[ExportedFile, ...] | None

    def __post_init__(self) -> None:
        _check_id(self.export)


def _check_id(export: str) -> None:
    if not _ID.fullmatch(export):
        raise bad_message("an id of an export that is not 32 hex digits")
