# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders of tiny shots, and records of shots that nobody captured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backend.batch.record import Person, ShotRecord
from backend.batch.shot import Shot
from blender_addon.contract.options import CaptureOptions
from tests.footage import panned, write


@pytest.fixture
def common() -> Shot:
    """What the command line says of every shot."""
    return Shot("", CaptureOptions("the shot's own", device="cpu"))


@pytest.fixture
def record() -> ShotRecord:
    """Of a shot that went well."""
    return ShotRecord(
        "sub/anna", "/shots/sub/anna.mov", "finished", "green", (), {}, (Person(1, 0.01, 0.9, 0.0),), 40,
        files={"anna.take.npz": 3}, seconds={"total": 2.0}, machine="node7", device="CPU", ended="2026-01-02T03:04:05",
    )  # fmt: skip


@pytest.fixture
def home(mien_home, model) -> Path:
    """A data folder of the test's own that has the landmark model."""
    models = mien_home / "models"
    models.mkdir(parents=True)
    (models / model.name).write_bytes(model.read_bytes())
    return mien_home


@pytest.fixture
def clip(astronaut: np.ndarray) -> Callable[..., Path]:
    """Writes a clip of a few frames."""

    def make(path: Path, frames: int = 4, start: float = 60.0) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        return write(path, panned(astronaut, frames, (start, 0.0), (0.5, 0.2)))

    return make


@pytest.fixture
def pictures(astronaut: np.ndarray) -> Callable[..., None]:
    """Writes numbered pictures, tiny ones without anybody in them."""

    def make(folder: Path, pattern: str, numbers: range) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for number in numbers:
            Image.fromarray(astronaut[:80, :80]).save(folder / pattern.format(number))

    return make


def with_options(shot: Shot, **options: object) -> Shot:
    """The shot with other options."""
    return replace(shot, options=replace(shot.options, **options))
