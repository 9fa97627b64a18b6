# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.heads.flame import load_flame
from backend.retarget import pairing
from blender_addon.contract.head import HeadDescription
from tests.fake_flame import write_flame
from tests.retargeting import face_head, known_counterparts


@pytest.fixture(scope="session", autouse=True)
def _home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A data folder for all of them, so that heads are registered once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIEN_HOME", str(tmp_path_factory.mktemp("home")))
        yield


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
    monkeypatch.setattr(pairing, "registered", known_counterparts)


@pytest.fixture(scope="session")
def flame_like(tmp_path_factory: pytest.TempPathFactory) -> HeadDescription:
    """Random points with FLAME's fields."""
    return load_flame(write_flame(tmp_path_factory.mktemp("flame") / "flame2020.npz"))
