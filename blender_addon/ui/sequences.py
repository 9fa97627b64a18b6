# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbered images as one source: a folder, or a pattern such as `shot.####.png` or `shot.%04d.png`."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from .kinds import PHOTO_SUFFIXES

_NUMBER = re.compile(r"(\d+)(?=\D*$)")
_HASHES = re.compile(r"#+")
_PERCENT = re.compile(r"%0?(\d*)d")


@dataclass(frozen=True)
class Numbered:
    """Images of one numbering.

    Attributes:
        folder: Where they lie.
        names: File names by number, in order.
    """

    folder: str
    names: dict[int, str]

    @property
    def first(self) -> int:
        """The lowest number."""
        return min(self.names)

    @property
    def last(self) -> int:
        """The highest number."""
        return max(self.names)

    @property
    def missing(self) -> int:
        """How many numbers in between have no image."""
        return self.last - self.first + 1 - len(self.names)

    @property
    def first_path(self) -> str:
        """Path of the first image."""
        return os.path.join(self.folder, self.names[self.first])


def is_pattern(path: str) -> bool:
    """Whether a path stands for many files: its name has `####` or `%04d`."""
    name = os.path.basename(path)
    return bool(_HASHES.search(name) or _PERCENT.search(name)) and not os.path.exists(path)


def pattern_of(path: str) -> str:
    """The pattern that a numbered image belongs to: shot.1001.png gives shot.####.png; empty without a number."""
    folder, name = os.path.split(path)
    stem, suffix = os.path.splitext(name)
    if not (found := _NUMBER.search(stem)):
        return ""
    hashes = "#" * len(found[1])
    return os.path.join(folder, f"{stem[: found.start()]}{hashes}{stem[found.end() :]}{suffix}")


def find(path: str) -> Numbered | None:
    """The numbered images of a pattern or in a folder (its largest numbering); None where there are none.

    Raises:
        OSError: The folder cannot be read.
    """
    if is_pattern(path):
        folder, name = os.path.split(path)
        return _matching(folder, _expression(name))
    groups: dict[str, int] = {}
    for name in os.listdir(path):
        if name.lower().endswith(PHOTO_SUFFIXES) and (pattern := pattern_of(name)):
            key = _HASHES.sub("#", pattern)  # shot_99 and shot_100 are of one numbering
            groups[key] = groups.get(key, 0) + 1
    if not groups:
        return None
    return _matching(path, _expression(max(sorted(groups), key=groups.__getitem__)))


def _expression(name: str) -> re.Pattern[str]:
    """What the names of a pattern look like; numbers may outgrow their width, as renderers let them."""
    found = _HASHES.search(name) or _PERCENT.search(name)
    digits = len(found[0]) if found[0].startswith("#") else int(found[1] or 1)
    before, after = re.escape(name[: found.start()]), re.escape(name[found.end() :])
    return re.compile(rf"{before}(\d{{{digits},}}){after}")


def _matching(folder: str, expression: re.Pattern[str]) -> Numbered | None:
    found = ((match, name) for name in os.listdir(folder or ".") if (match := expression.fullmatch(name)))
    names = dict(sorted((int(match[1]), name) for match, name in found))
    return Numbered(folder, names) if names else None
