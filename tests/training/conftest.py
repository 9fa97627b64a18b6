# SPDX-License-Identifier: GPL-3.0-or-later
"""Heads that several tests of the training use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.heads import load_head
from blender_addon.contract.head import HeadDescription
from tests.stored_flame import add_flame


@pytest.fixture(scope="module")
def flame(module_path: Path) -> Iterator[HeadDescription]:
    """A FLAME of the store with landmarks and UVs; the data folder is the module's own as long as it is used."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIEN_HOME", str(module_path / "home"))
        add_flame()
        yield load_head("flame2020")
