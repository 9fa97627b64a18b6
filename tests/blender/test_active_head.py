# SPDX-License-Identifier: GPL-3.0-or-later
"""A head that is there performs another clip: before a camera of its own, and whatever happens to it meanwhile."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_layout import draw
from make_head import moving_take, synthetic_head
from panel_driver import Panel, driven_panel
from staging import Stage, blender_pixels, in_package


@pytest.fixture
def panel(mien: Any, backend_python: str, repository: Path, tmp_path: Path) -> Iterator[Panel]:
    """The session with a real service behind it that makes performances up (see clip_backend.py)."""
    script = Path(__file__).with_name("clip_backend.py")
    yield from driven_panel(mien, [backend_python, str(script)], repository, tmp_path / "heads")


def _clip(folder: Path, name: str = "shot_020.mp4", **todo: Any) -> str:
    path = folder / name
    path.write_text(json.dumps(todo))
    return str(path)


def _first(folder: Path) -> Any:
    """A head with a performance, active and to be used again."""
    import bpy

    bpy.ops.mien.capture_performance(filepath=_clip(folder, "shot_010.mp4", frames=20), wait=True)
    bpy.context.scene.mien.reuse_head = True
    return bpy.context.object


def _heads(mien: Any) -> list[Any]:
    import bpy

    return mien("rig.names").heads(bpy.data.objects)


def _keys(mien: Any, head: Any) -> int:
    return len(mien("compat").fcurves_of(head.data.shape_keys)[0].keyframe_points)


def _begin(panel: Panel, folder: Path) -> None:
    import bpy

    bpy.ops.mien.capture_performance(filepath=_clip(folder, frames=30, frame_seconds=0.03))
    panel.until(lambda: panel.progress is not None and panel.progress.frames is not None)


def test_a_second_capture_can_use_the_active_head(panel: Panel, mien: Any, tmp_path: Path) -> None:
    import bpy

    settings, head = bpy.context.scene.mien, _first(tmp_path)
    assert "prop:reuse_head" in draw(bpy.types.MIEN_PT_capture)
    bpy.context.scene.frame_set(201)
    bpy.ops.mien.capture_performance(filepath=_clip(tmp_path, frames=10), wait=True)
    assert _heads(mien) == [head] and _keys(mien, head) == 10
    assert [take.frames for take in settings.takes] == [20, 10]
    assert settings.takes[1].name == "Shot 010 shot_020"
    assert bpy.context.scene.camera.name == "Shot 010 Camera 2"


def test_the_head_that_performs_may_get_another_name(panel: Panel, mien: Any, tmp_path: Path) -> None:
    import bpy

    head = _first(tmp_path)
    _begin(panel, tmp_path)
    head.name = "Alice"
    panel.session.remember()  # as when the file is saved
    assert json.loads(bpy.context.scene.mien.jobs[0].request)["reuse"] == "Alice"
    panel.finish()
    assert _heads(mien) == [head] and _keys(mien, head) == 30


def test_without_its_head_a_performance_gets_a_new_one_and_says_so(
    panel: Panel, mien: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    import bpy

    said: list[str] = []
    monkeypatch.setattr(mien("ui.session"), "tell", lambda level, text: said.append(text))
    head = _first(tmp_path)
    said.clear()
    _begin(panel, tmp_path)
    bpy.data.objects.remove(head)
    bpy.data.objects.new("Shot 010", None)  # of the same name, and no head
    panel.finish()
    assert [item.name for item in _heads(mien)] == ["Shot 020"]
    assert any("'Shot 010' is gone" in text for text in said)


def test_a_head_that_cannot_be_changed_at_the_end_costs_nothing(panel: Panel, mien: Any, tmp_path: Path) -> None:
    import bpy

    head = _first(tmp_path)
    bpy.ops.mien.push_to_nla()
    _begin(panel, tmp_path)
    data = head.parent.animation_data
    data.nla_tracks[0].is_solo, data.nla_tracks[0].select, data.nla_tracks.active = False, True, data.nla_tracks[0]
    data.use_tweak_mode = True
    panel.finish()
    assert "press Apply to Head then" in panel.session.error.remedy
    assert [take.frames for take in bpy.context.scene.mien.takes] == [20, 30]
    data.use_tweak_mode = False
    assert bpy.ops.mien.apply_take() == {"FINISHED"}
    assert _keys(mien, head) == 30


def test_a_linked_head_is_refused_before_anything_is_computed(panel: Panel, tmp_path: Path) -> None:
    import bpy

    name, library = _first(tmp_path).name, str(tmp_path / "library.blend")
    bpy.ops.wm.save_as_mainfile(filepath=library)
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    with bpy.data.libraries.load(library, link=True) as (_, linked):
        linked.collections = [name]
    bpy.context.scene.collection.children.link(linked.collections[0])
    bpy.context.view_layer.objects.active = bpy.data.objects[name]
    bpy.context.scene.mien.reuse_head = True
    with pytest.raises(RuntimeError, match="is linked from another file"):
        bpy.ops.mien.capture_performance(filepath=_clip(tmp_path, frames=5))
    assert not panel.session.captures


def _range(first: int, count: int, shift: float = 0.0) -> Any:
    """A take of some frames of the clip "even.mp4"."""
    take = moving_take(synthetic_head(1), count, 24.0, size=(64, 48))
    chosen = np.arange(first, first + count)
    moved = (take.translation + [shift, 0.0, 0.0]).astype(np.float32)
    return dataclasses.replace(take, time=chosen / 24, translation=moved, extra={"frame": (chosen + 1).astype("i4")})


def test_each_performance_of_a_head_has_a_camera_that_lines_up(
    mien: Any, clips: Path, tmp_path: Path, evaluated: Any
) -> None:
    import bpy
    from mathutils import Matrix

    head, source, scene = synthetic_head(1), str(clips / "even.mp4"), bpy.context.scene
    stage = Stage(mien, head, _range(0, 10), tmp_path, source, start=1)
    add, options = mien("scene").add_performance, mien("scene").SceneOptions
    follows = add(stage.mesh, in_package(mien, head, _range(10, 10), tmp_path)[1], source, scene, options(start=11))
    assert follows.camera == stage.camera.name  # the footage runs on behind it
    assert len([item for item in bpy.data.objects if item.type == "CAMERA"]) == 1
    stage.rig.matrix_world = Matrix.Translation((1.0, 2.0, 3.0)) @ Matrix.Rotation(0.7, 4, "Z")
    bpy.context.view_layer.update()
    take = in_package(mien, head, dataclasses.replace(_range(5, 10, 0.05), meta=_other()), tmp_path)[1]
    later = add(stage.mesh, take, source, scene, options(start=101))
    assert later.camera == f"{stage.mesh.name} Camera 2" and scene.camera.name == later.camera
    assert later.camera in stage.mesh.users_collection[0].objects and later.warnings == ()
    user = scene.camera.data.background_images[0].image_user
    assert user.frame_start - user.frame_offset == 101 - 5
    assert stage.camera.data.background_images[0].image_user.frame_start == 1
    alone = mien("scene").add_captures(stage.head, [take], source, scene, options(start=101)).heads[0]
    scene.frame_set(103)
    seen = blender_pixels(scene, bpy.data.objects[later.camera], evaluated(stage.mesh))
    expected = blender_pixels(scene, bpy.data.objects[alone.camera], evaluated(bpy.data.objects[alone.head.mesh]))
    assert np.abs(seen - expected).max() < 0.01


def _other() -> Any:
    """Of another source."""
    return dataclasses.replace(_range(0, 2).meta, source="other.mp4")
