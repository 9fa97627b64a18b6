# SPDX-License-Identifier: GPL-3.0-or-later
"""A copy of the sources, to make environments in and to build from without touching the real folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

PARTS = ("backend", "blender_addon", "locks", "scripts", "training")
FILES = ("pyproject.toml", "LICENSE", "NOTICE", "README.md")


@pytest.fixture
def sources(repository: Path, tmp_path: Path) -> Path:
    """A fresh copy of what the two commands and the build need."""
    copy = tmp_path / "mien"
    for part in PARTS:
        shutil.copytree(repository / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(repository / name, copy / name)
    return copy
