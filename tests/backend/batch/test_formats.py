# SPDX-License-Identifier: GPL-3.0-or-later
"""Formats of a shot: each that can be written is, and each that cannot is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType, SimpleNamespace

import pytest

from backend import blender
from backend.batch import formats
from backend.batch.formats import write_formats
from backend.batch.progress_file import ProgressFile
from backend.batch.shot import Task
from backend.capture_files import Written
from backend.exports import formats as registry
from backend.exports.formats import TAKE_FORMATS, Format
from blender_addon.contract.errors import ErrorCode, MienError
from tests.backend.batch.conftest import with_options
from tests.fake_takes import small_take


def refuse(take) -> None:
    raise MienError(ErrorCode.CANNOT_EXPORT, "The take is of another head.", "Capture with the open head.")


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    """Two more formats than there are: one that always works and one that never does."""
    more = {
        "text": Format("Text", ".txt", lambda take, path: path.write_text(str(take.meta.person)), lambda take: None),
        "never": Format("Never", ".never", lambda take, path: None, refuse),
    }
    everything = MappingProxyType({**TAKE_FORMATS, **more})
    monkeypatch.setattr(formats, "TAKE_FORMATS", everything)
    monkeypatch.setattr(registry, "TAKE_FORMATS", everything)


@pytest.fixture
def attempt(tmp_path, common):
    takes = (tmp_path / "a.take.npz", tmp_path / "a.person2.take.npz")
    for path in takes:
        small_take().save(path)
    result = SimpleNamespace(of_clip=True, picture=None)
    written = Written({}, takes, takes, result)  # type: ignore[arg-type]
    session = SimpleNamespace(head=lambda name: f"head {name}")
    workshop = SimpleNamespace(session=lambda device: session, blender=lambda progress: "program")

    def attempt(*names: str):
        shot = replace(with_options(common, source="/shots/a.mov"), name="sub/a", formats=names)
        task = Task(shot, str(tmp_path), None, None, "source", str(tmp_path / "stop"))
        with ProgressFile(tmp_path, task.stop_file) as progress:
            return write_formats(task, written, tmp_path, workshop, progress)  # type: ignore[arg-type]

    return attempt


def test_each_person_has_a_file(attempt, tmp_path):
    files, failures, _ = attempt("npz", "text")
    assert files == [tmp_path / "a.txt", tmp_path / "a.person2.txt"] and not failures


def test_one_that_cannot_be_written_stops_no_other(attempt, tmp_path):
    files, (failure,), _ = attempt("never", "text")
    assert len(files) == 2
    assert (failure.what, failure.code) == ("never", "cannot_export") and "another head" in failure.message


def test_scenes_are_written_by_one_blender(attempt, tmp_path, monkeypatch):
    asked = []
    refusal = MienError(ErrorCode.BLENDER_FAILED, "This Blender has no USD.", "Use another Blender.", {"path": "a"})

    def scene(program, head, takes: Sequence[Path], source, targets, progress, start=1, timing="conform"):
        asked.append((program, head, len(takes), source, sorted(targets), timing))
        files = {name: (path,) for name, path in targets.items() if name != "usd"}
        return blender.SceneFiles(files, {"usd": refusal}, ("The eyelids are left out.",))

    (tmp_path / "a.usdc").write_bytes(b"of an earlier run")
    monkeypatch.setattr(blender, "export_scene", scene)
    files, failures, warnings = attempt("fbx", "blend", "usd")
    assert asked == [("program", "head open", 2, Path("/shots/a.mov"), ["blend", "fbx", "usd"], "source")]
    assert {path.name for path in files} == {"a.blend", "a.fbx"}
    assert [(failure.what, failure.message) for failure in failures] == [("usd", "This Blender has no USD.")]
    assert warnings == ["The eyelids are left out."]


def test_a_blender_that_fails_is_told_for_each_format(attempt, monkeypatch):
    def fail(*_: object, **__: object):
        raise MienError(ErrorCode.BLENDER_FAILED, "Blender ended.", "Read the log.")

    monkeypatch.setattr(blender, "export_scene", fail)
    files, failures, _ = attempt("fbx", "glb", "text")
    assert [failure.what for failure in failures] == ["fbx", "glb"] and len(files) == 2
