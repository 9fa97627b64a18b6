# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from backend.heads.flame import load_flame
from blender_addon.contract.head import HeadDescription
from tests.fake_flame import write_flame
from tests.retargeting import face_head, known_counterparts


@pytest.fixture(scope="session")
def face_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model file of `face`."""
    folder = tmp_path_factory.mktemp("face")
    face_head(folder)
    return folder / "flame2020.pkl"


@pytest.fixture(scope="session")
def face(face_file: Path) -> HeadDescription:
    """A face in FLAME's layout, with eyelids."""
    return face_head(face_file.parent)


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counterparts of the two heads are the true ones instead of those that registration finds."""
    stand_in = ModuleType("backend.heads.correspondence")
    stand_in.correspondence = known_counterparts
    monkeypatch.setitem(sys.modules, "backend.heads.correspondence", stand_in)


@pytest.fixture(scope="session")
def flame_like(tmp_path_factory: pytest.TempPathFactory) -> HeadDescription:
    """Random points with FLAME's fields."""
    return load_flame(write_flame(tmp_path_factory.mktemp("flame") / "flame2020.npz"))
