# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest

from backend.heads import load_head
from blender_addon.contract.head import HeadDescription
from tests.fake_flame import write_flame


@pytest.fixture(scope="session")
def flame_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_flame(tmp_path_factory.mktemp("flame") / "flame2020.npz")


@pytest.fixture(scope="session")
def flame(flame_file: Path) -> HeadDescription:
    return load_head(flame_file)
