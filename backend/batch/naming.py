# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of shots: one folder for each, laid out like the sources, on every system and whatever the files are called."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from backend.capture_files import stem_of

BATCH_CSV = "batch.csv"
BATCH_HTML = "batch.html"
"""Files that stand beside the shots' folders."""

_FORBIDDEN = re.compile(r'[<>:"|?*\\\x00-\x1f\x7f]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def default_name(source: Path, root: Path) -> PurePosixPath:
    """The name of a shot that was given none: its path under `root` without the extension, or its own where it lies
    elsewhere."""
    try:
        parts = source.relative_to(root).parent.parts
    except ValueError:
        parts = ()
    if ".." in parts:
        parts = ()
    return PurePosixPath(*(_fitting(part) for part in (*parts, stem_of(source))))


def checked_name(text: str) -> str:
    """A name that somebody gave.

    Raises:
        ValueError: It cannot be a folder's on every system; says why.
    """
    parts = text.split("/")
    for part in parts:
        if part in ("", ".", ".."):
            raise ValueError(f"the name {text!r} is not a path inside the results")
        if part != _fitting(part):
            raise ValueError(f"the name {text!r} cannot be a folder's on every system")
    if parts[0].casefold() in (BATCH_CSV, BATCH_HTML):
        raise ValueError(f"the name {text!r} is that of the batch's own file")
    return text


def told_apart(names: Sequence[PurePosixPath], sources: Sequence[Path]) -> list[str]:
    """The names, with the extensions of their sources where they would be the same without.

    Letters' case does not count, since it does not on every disk.
    """
    counts = Counter(str(name).casefold() for name in names)
    apart = []
    for name, source in zip(names, sources, strict=True):
        alone = counts[str(name).casefold()] == 1 and str(name).casefold() not in (BATCH_CSV, BATCH_HTML)
        suffix = _fitting(source.suffix.removeprefix("."))
        apart.append(str(name if alone else name.with_name(f"{name.name}_{suffix}")))
    return apart


def numbered_apart(names: Sequence[str]) -> list[str]:
    """The names, with a number behind those that are still the same as an earlier one."""
    apart: list[str] = []
    taken: set[str] = set()
    for name in names:
        number, other = 2, name
        while other.casefold() in taken:
            number, other = number + 1, f"{name}_{number}"
        taken.add(other.casefold())
        apart.append(other)
    return apart


def same_places(names: Sequence[str]) -> list[list[int]]:
    """Which names are one place, as groups of positions."""
    groups: dict[str, list[int]] = {}
    for position, name in enumerate(names):
        groups.setdefault(name.casefold(), []).append(position)
    return [group for group in groups.values() if len(group) > 1]


def _fitting(part: str) -> str:
    """A part of a path as every system takes it."""
    fitting = _FORBIDDEN.sub("_", part).rstrip(". ") or "_"
    return f"_{fitting}" if _RESERVED.fullmatch(fitting) or fitting.startswith(".") else fitting
