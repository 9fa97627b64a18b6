# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files are there, asked folder by folder: a question for each of a million files would take long."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path


class Listing:
    """What files lie under a folder, each of its folders listed once."""

    def __init__(self, folder: Path) -> None:
        self._names = _Folders(folder)

    def has(self, name: str, endings: Sequence[str]) -> bool:
        """Whether there is a file NAME with one of the endings."""
        parent, _, last = name.rpartition("/")
        there = self._names[parent]
        return any(f"{last}{ending}" in there for ending in endings)


class _Folders(defaultdict[str, frozenset[str]]):
    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def __missing__(self, parent: str) -> frozenset[str]:
        try:
            names = frozenset(os.listdir(self._folder / parent))
        except OSError:
            names = frozenset()
        self[parent] = names
        return names
