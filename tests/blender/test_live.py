# SPDX-License-Identifier: GPL-3.0-or-later
"""A live capture drives a head and records, with a made-up backend in another process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_layout import draw
from panel_driver import Panel, driven_panel


@pytest.fixture
def panel(mien: Any, backend_python: str, repository: Path, tmp_path: Path) -> Iterator[Panel]:
    """The session with a real service behind it that makes performances up (see clip_backend.py)."""
    script = Path(__file__).with_name("clip_backend.py")
    yield from driven_panel(mien, [backend_python, str(script)], repository, tmp_path / "heads")


def _clip(folder: Path, **todo: Any) -> str:
    path = folder / "shot_010.mp4"
    path.write_text(json.dumps(todo))
    return str(path)


def _previews(mien: Any) -> list[Any]:
    import bpy

    return [item for item in bpy.data.objects if mien("rig.names").is_preview(item)]


def _points(item: Any) -> np.ndarray:
    points = np.empty(len(item.data.vertices) * 3, np.float32)
    item.data.vertices.foreach_get("co", points)
    return points


def test_a_file_played_as_a_camera_drives_a_temporary_head_and_records(panel: Panel, mien: Any, tmp_path: Path) -> None:
    import bpy

    settings = bpy.context.scene.mien
    assert bpy.ops.mien.start_live(live_from="FILE", filepath=_clip(tmp_path)) == {"FINISHED"}
    with pytest.raises(RuntimeError, match="stop it first"):
        bpy.ops.mien.start_live()
    panel.until(lambda: bool(_previews(mien)))
    first = _points(_previews(mien)[0])
    panel.until(lambda: bool(np.abs(_points(_previews(mien)[0]) - first).max() > 1e-4))
    panel.until(lambda: "Following, 42 ms, 24 fps" in draw(bpy.types.MIEN_PT_source))
    drawn = draw(bpy.types.MIEN_PT_source)
    assert {"operator:mien.stop_live", "operator:mien.live_neutral", "operator:mien.live_record"} <= set(drawn)
    assert not [text for text in draw(bpy.types.MIEN_PT_capture) if text.startswith("progress:")]
    bpy.ops.mien.live_neutral()
    bpy.ops.mien.live_record()
    assert "operator:mien.live_record:Stop Recording" in draw(bpy.types.MIEN_PT_source)
    seen = panel.progress.frames.done
    panel.until(lambda: panel.progress.frames.done > seen + 15)
    bpy.ops.mien.live_record()
    assert "operator:mien.live_record" in draw(bpy.types.MIEN_PT_source)
    bpy.ops.mien.stop_live()
    panel.finish()
    assert panel.session.error is None and not _previews(mien)
    (take,) = settings.takes
    assert take.frames > 5 and bpy.context.object is not None
    with pytest.raises(RuntimeError, match="was recorded live"):
        bpy.ops.mien.capture_again()


def test_a_live_capture_without_a_recording_leaves_the_scene_alone(panel: Panel, mien: Any, tmp_path: Path) -> None:
    import bpy

    bpy.ops.mien.start_live(live_from="CAMERA", device=2)
    assert panel.session.live.request.options.source == "camera:2"
    panel.until(lambda: bool(_previews(mien)))
    bpy.ops.mien.stop_live()
    panel.finish()
    assert panel.session.error is None
    assert not bpy.data.objects and not bpy.context.scene.mien.takes


def test_a_live_capture_that_has_not_begun_stops_at_once(panel: Panel) -> None:
    import bpy

    bpy.ops.mien.start_live(live_from="CAMERA")
    bpy.ops.mien.stop_live()
    panel.finish()
    assert panel.session.error is None


def test_the_active_head_is_driven_and_gets_the_recordings(panel: Panel, mien: Any, tmp_path: Path) -> None:
    import bpy

    bpy.ops.mien.capture_performance(filepath=_clip(tmp_path, frames=5), wait=True)
    head = bpy.context.object
    objects = set(bpy.data.objects.keys())
    smile = head.data.shape_keys.key_blocks["mouthSmileLeft"]
    before = smile.value
    bpy.ops.mien.start_live(live_from="FILE")
    panel.until(lambda: abs(smile.value - before) > 1e-3)
    assert set(bpy.data.objects.keys()) == objects
    for _ in range(2):
        bpy.ops.mien.live_record()
        seen = panel.progress.frames.done
        panel.until(lambda seen=seen: panel.progress.frames.done > seen + 8)
        bpy.ops.mien.live_record()
    bpy.ops.mien.stop_live()
    panel.finish()
    assert panel.session.error is None and set(bpy.data.objects.keys()) == objects
    takes = list(bpy.context.scene.mien.takes)
    assert len(takes) == 3 and len({take.path for take in takes}) == 3
    assert mien("animation.smooth").record_of(head).take_file == takes[-1].path


def test_a_closed_file_ends_the_live_capture(panel: Panel, tmp_path: Path) -> None:
    import bpy

    bpy.ops.mien.start_live(live_from="FILE", filepath=_clip(tmp_path))
    panel.until(lambda: panel.progress is not None and panel.progress.stage == "live")
    assert not bpy.context.scene.mien.jobs  # a camera cannot be picked up
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    panel.until(lambda: not panel.session.captures)


def test_live_controls_say_when_nothing_runs(mien: Any) -> None:
    import bpy

    for operator in (
        bpy.ops.mien.stop_live,
        bpy.ops.mien.live_neutral,
        bpy.ops.mien.forget_neutral,
        bpy.ops.mien.live_record,
    ):
        with pytest.raises(RuntimeError, match="No live capture is running"):
            operator()
    with pytest.raises(RuntimeError, match="needs a clip"):
        bpy.ops.mien.start_live(live_from="FILE")
    assert {"prop:live_from", "operator:mien.start_live"} <= set(draw(bpy.types.MIEN_PT_live))


def test_why_a_live_capture_ended_by_itself_is_told_with_its_take(mien: Any) -> None:
    story = mien("ui.take_properties").Story
    why = "The camera was unplugged."
    assert story.of_report({"live": {"problem": why}}, 0).problems == (why,)
    assert story.of_report({"live": {"problem": None}}, 0).problems == ()
