# SPDX-License-Identifier: GPL-3.0-or-later
"""Captures survive closed files, undo and killed backends, and are picked up again."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_layout import draw
from panel_driver import Panel, driven_panel


@pytest.fixture
def panel(mien: Any, backend_python: str, repository: Path, tmp_path: Path) -> Iterator[Panel]:
    """The session with a real service behind it that makes performances up (see clip_backend.py)."""
    yield from driven_panel(mien, _command(backend_python), repository, tmp_path / "heads")


def _command(python: str) -> list[str]:
    return [python, str(Path(__file__).with_name("clip_backend.py"))]


def _clip(folder: Path, name: str = "shot_010.mp4", **todo: Any) -> str:
    path = folder / name
    path.write_text(json.dumps(todo))
    return str(path)


def _solving(panel: Panel, count: int = 3) -> Any:
    return lambda: (
        panel.progress is not None and panel.progress.frames is not None and panel.progress.frames.done >= count
    )


def _save_and_leave(path: Path) -> None:
    import bpy

    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)


def test_a_file_that_is_opened_again_goes_on_with_its_capture(panel: Panel, mien: Any, tmp_path: Path) -> None:
    import bpy

    bpy.context.scene.frame_set(51)
    bpy.ops.mien.capture_performance(filepath=_clip(tmp_path, frames=40, frame_seconds=0.03))
    panel.until(lambda: bool(bpy.data.objects))  # also with a preview in the file
    job = panel.session.present[0].job
    _save_and_leave(tmp_path / "scene.blend")
    assert not panel.session.running and not bpy.data.objects
    for _ in range(20):
        panel.session.pump()
    assert not bpy.data.objects  # another file's capture shows nothing here
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "scene.blend"))
    assert [capture.job for capture in panel.session.present] == [job]
    assert not any(mien("rig.names").is_preview(item) for item in bpy.data.objects)
    panel.finish()
    assert panel.session.error is None and bpy.context.scene.mien.takes[0].frames == 40
    first = min(point.co[0] for curve in mien("compat").fcurves_of(bpy.data.objects["Shot 010"].data.shape_keys)
                for point in curve.keyframe_points)  # fmt: skip
    assert first == 51
    assert not bpy.context.scene.mien.jobs


def test_a_capture_that_ended_meanwhile_is_fetched_when_its_file_is_opened(panel: Panel, tmp_path: Path) -> None:
    import bpy

    bpy.ops.mien.capture_performance(filepath=_clip(tmp_path, frames=15, frame_seconds=0.03))
    _save_and_leave(tmp_path / "scene.blend")
    panel.until(lambda: not panel.session.captures)
    assert not bpy.data.objects
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "scene.blend"))
    panel.finish()
    assert panel.session.error is None and "Shot 010" in bpy.data.objects


def test_a_capture_of_a_closed_file_may_end_right_after_a_preview(panel: Panel, mien: Any, tmp_path: Path) -> None:
    """Both can arrive at once; what the file would have shown must not be looked for any more."""
    import bpy

    bpy.ops.mien.capture_performance(filepath=_clip(tmp_path, frames=200, frame_seconds=0.03))
    panel.until(_solving(panel))
    job, events = panel.session.present[0].job, mien("client.events")
    _save_and_leave(tmp_path / "scene.blend")
    error = mien("contract.errors").MienError("cancelled", "Stopped.", "Start again.")
    client = panel.session.client()
    pumped = client.pump
    client.pump = lambda now: [*pumped(now), events.PreviewReady(job, ()), events.CaptureFailed(job, error)]
    panel.session.pump()
    client.pump = pumped
    assert job not in panel.session.captures


def test_a_capture_goes_on_after_blender_was_closed(
    panel: Panel, mien: Any, backend_python: str, repository: Path, tmp_path: Path
) -> None:
    import bpy

    bpy.ops.mien.capture_performance(filepath=_clip(tmp_path, frames=30, frame_seconds=0.05))
    panel.until(_solving(panel))
    job = panel.session.present[0].job
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    mien("ui.session").end_session()
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    again = driven_panel(mien, _command(backend_python), repository, tmp_path / "heads")
    next(again)
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "scene.blend"))
    assert [capture.job for capture in panel.session.present] == [job]
    panel.finish()
    assert panel.session.error is None and bpy.context.scene.mien.takes[0].frames == 30


def test_a_file_without_captures_starts_nothing(mien: Any, tmp_path: Path) -> None:
    import bpy

    module = mien("ui.session")
    module.end_session()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "scene.blend"))
    assert module.present_session() is None


@pytest.mark.parametrize("request_text", ["{", "[]", '{"options": {"source": 3}}'])
def test_a_record_that_cannot_be_read_is_said_and_harmless(panel: Panel, tmp_path: Path, request_text: str) -> None:
    _open_with_record(panel, tmp_path, "ab" * 16, request_text)
    assert not panel.session.captures
    assert "remembered in this file cannot be read" in panel.session.error.message


def test_a_record_with_a_made_up_id_is_left_alone(panel: Panel, tmp_path: Path) -> None:
    _open_with_record(panel, tmp_path, "../../x", "{}")
    assert not panel.session.captures and panel.session.error is None


def _open_with_record(panel: Panel, folder: Path, job: str, request: str) -> None:
    """Open a file that remembers a capture of another session."""
    import bpy

    item = bpy.context.scene.mien.jobs.add()
    item.job, item.request = job, request
    panel.session.remember = lambda: None  # or it would be forgotten at saving: this session does not know it
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "scene.blend"))
    del panel.session.remember
    bpy.ops.wm.open_mainfile(filepath=str(folder / "scene.blend"))


def test_a_capture_that_the_backend_does_not_know_is_said_once(panel: Panel, mien: Any, tmp_path: Path) -> None:
    import bpy

    request = mien("ui.asking").request_from(bpy.context.scene.mien, bpy.context, _clip(tmp_path))
    _open_with_record(panel, tmp_path, "ab" * 16, json.dumps(request.to_json()))
    panel.until(lambda: panel.session.error is not None)
    assert panel.session.error.code == "no_such_job"
    assert not panel.session.running and not bpy.context.scene.mien.jobs


def test_a_killed_backend_goes_on_by_itself(panel: Panel, tmp_path: Path) -> None:
    import bpy

    source = _clip(tmp_path, frames=30, frame_seconds=0.02, die_at=13)
    bpy.ops.mien.capture_performance(filepath=source)
    notes = []

    def over() -> bool:
        notes.extend(capture.note for capture in panel.session.present)
        return not panel.session.running

    panel.until(over)
    assert Path(f"{source}.died").exists()
    assert set(notes) - {"", "Backend restarted"} <= {f"Backend restarted, goes on at frame {n}" for n in (13, 14, 15)}
    assert len(set(notes)) == 3
    assert panel.session.error is None and bpy.context.scene.mien.takes[0].frames == 30


def test_the_panel_tells_of_the_restart(panel: Panel, tmp_path: Path) -> None:
    import bpy

    bpy.ops.mien.capture_performance(filepath=_clip(tmp_path, frames=40, frame_seconds=0.05))
    panel.until(_solving(panel))
    os.kill(panel.session._client.pid, signal.SIGKILL)
    panel.until(lambda: "Backend restarted" in " ".join(draw(bpy.types.MIEN_PT_capture)))
    panel.finish()
    assert panel.session.error is None and "Shot 010" in bpy.data.objects


def test_earlier_captures_can_be_picked_up(panel: Panel, tmp_path: Path) -> None:
    import bpy

    bpy.ops.mien.capture_performance(filepath=_clip(tmp_path, "pick_me.mp4", frames=9), first=2, last=6)
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)  # the file was never saved
    assert not panel.session.running
    panel.until(lambda: not panel.session.captures)
    _listed(panel)
    with pytest.raises(RuntimeError, match="no such capture"):
        bpy.ops.mien.pick_up(job="ab" * 16)
    bpy.ops.mien.list_jobs()
    panel.until(lambda: any(item.status.state == "finished" for item in panel.session.jobs))
    assert _offered(bpy.types.MIEN_MT_jobs) == 1
    job = panel.session.jobs[0].status.job
    assert bpy.ops.mien.pick_up(job=job, wait=True) == {"FINISHED"}
    assert bpy.context.scene.mien.takes[0].frames == 5 and "Pick me" in bpy.data.objects
    _listed(panel)
    assert _offered(bpy.types.MIEN_MT_jobs) == 0  # it is in the scene


def _offered(menu: Any) -> int:
    return sum(text.startswith("operator:mien.pick_up:Pick Up pick_me.mp4, ") for text in draw(menu))


def _listed(panel: Panel) -> Any:
    panel.session.jobs = ()
    panel.session.list_jobs()
    panel.until(lambda: bool(panel.session.jobs))
    return panel.session.jobs


def test_a_failed_capture_can_be_picked_up_again(panel: Panel, tmp_path: Path) -> None:
    import bpy

    source = _clip(tmp_path, error=True)
    with pytest.raises(RuntimeError, match="No face in"):
        bpy.ops.mien.capture_performance(filepath=source, wait=True)
    job = next(item.status.job for item in _listed(panel) if item.options.source == source)
    _clip(tmp_path, frames=4)  # better footage under the same name
    assert bpy.ops.mien.pick_up(job=job, wait=True) == {"FINISHED"}
    assert bpy.context.scene.mien.takes[0].frames == 4


def test_a_copied_scene_does_not_double_a_capture(panel: Panel, tmp_path: Path) -> None:
    import bpy

    first = bpy.context.scene
    bpy.ops.mien.capture_performance(filepath=_clip(tmp_path, frames=30, frame_seconds=0.03))
    first.copy()
    assert sum(len(scene.mien.jobs) for scene in bpy.data.scenes) == 2
    panel.session.remember()
    assert [len(scene.mien.jobs) for scene in bpy.data.scenes if scene != first] == [0]
    first.name = "Another Name"
    panel.finish()
    assert len(first.mien.takes) == 1 and not first.mien.jobs


def test_a_copied_scene_keeps_no_preview(panel: Panel, tmp_path: Path) -> None:
    import bpy

    first = bpy.context.scene
    bpy.ops.mien.capture_performance(filepath=_clip(tmp_path, frames=30, frame_seconds=0.03))
    panel.until(lambda: bool(bpy.data.objects))
    bpy.ops.scene.new(type="FULL_COPY")
    copied = bpy.context.scene
    assert copied != first and len(copied.objects) == 1
    panel.finish()
    assert not copied.objects and not copied.collection.children
    assert "Shot 010" in first.objects


def test_a_capture_goes_on_when_the_add_on_is_enabled_again(
    panel: Panel, mien: Any, backend_python: str, repository: Path, tmp_path: Path
) -> None:
    import bpy

    bpy.ops.mien.capture_performance(filepath=_clip(tmp_path, frames=30, frame_seconds=0.05))
    panel.until(_solving(panel))
    job = panel.session.present[0].job
    mien("ui.ticker").remove_handlers()
    mien("ui.session").end_session()
    again = driven_panel(mien, _command(backend_python), repository, tmp_path / "heads")
    next(again)
    mien("ui.ticker").add_handlers()
    assert bpy.app.timers.is_registered(mien("ui.ticker").resume)
    mien("ui.ticker").resume()  # what that timer does
    assert [capture.job for capture in panel.session.present] == [job]
    panel.finish()
    assert panel.session.error is None and bpy.context.scene.mien.takes[0].frames == 30
