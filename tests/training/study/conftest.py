# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders with pictures that stand for photos and renders, and studies of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from threading import Thread

import pytest
from PIL import Image

from blender_addon.contract.models import EMOTIONS
from training.study.design import Study, Task
from training.study.desk import Desk
from training.study.gathering import gather
from training.study.making import Wanted, make_study
from training.study.server import StudyServer
from training.study.study_file import write_study

ALL = (Task("classification"), Task("consistency"), Task("comparison"))


def fill(folder: Path, faces: Sequence[str], methods: Sequence[str], labels: Mapping[str, str] | None = None) -> None:
    """Photos, renders and labels (by default the emotions in turn) of faces."""
    for number, face in enumerate(faces):
        _picture(folder / "photos" / f"{face}.png", (200, 20 * number % 255, 80))
        for method in methods:
            _picture(folder / "renders" / method / f"{face}.png", (120, 120, 20 * number % 255))
    known = {face: EMOTIONS[number % 8] for number, face in enumerate(faces)} if labels is None else labels
    if known:
        lines = "".join(f"{face},{label}\n" for face, label in known.items())
        (folder / "labels.csv").write_text(f"name,label\n{lines}")


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., Study]:
    """Makes a study in `tmp_path`: of eight faces, two methods and all tasks by default."""

    def make(
        faces: Sequence[str] = tuple("abcdefgh"),
        methods: Sequence[str] = ("deca", "emoca"),
        tasks: Sequence[Task] = ALL,
        labels: Mapping[str, str] | None = None,
        title: str = "Test",
        **wanted: object,
    ) -> Study:
        fill(tmp_path, faces, methods, labels)
        study = make_study(gather(tmp_path), Wanted(title, tuple(tasks), **wanted))
        write_study(tmp_path, study)
        return study

    return make


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Callable[[], StudyServer]]:
    """Serves the study in `tmp_path`."""
    running: list[tuple[Desk, StudyServer, Thread]] = []

    def serve() -> StudyServer:
        desk = Desk(tmp_path)
        server = StudyServer(desk)
        thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        running.append((desk, server, thread))
        return server

    yield serve
    for desk, server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()
        desk.__exit__(None, None, None)


def _picture(path: Path, colour: tuple[int, int, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (64, 64), colour).save(path)
