# SPDX-License-Identifier: GPL-3.0-or-later
"""Captures as the timer drives them, with a backend in another process."""

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
    """The session with a real service behind it that makes its takes up (see fake_backend.py)."""
    script = repository / "tests" / "backend" / "server" / "fake_backend.py"
    yield from driven_panel(mien, [backend_python, str(script)], repository, tmp_path / "heads")


def _photo(folder: Path, **todo: Any) -> str:
    """A source that tells the made-up backend what to do, with the name of a photo."""
    path = folder / "anna_01.png"
    path.write_text(json.dumps(todo))
    return str(path)


def test_a_capture_becomes_a_head_in_one_undo_step(panel: Panel, tmp_path: Path) -> None:
    import bpy

    bpy.ops.ed.undo_push(message="Before")
    assert bpy.ops.mien.capture_face(filepath=_photo(tmp_path)) == {"FINISHED"}
    assert not [item for item in bpy.data.objects if item.type == "MESH"]  # the operator only starts it
    assert panel.session.running
    panel.finish()
    assert panel.session.error is None
    assert {"Anna 01", "Anna 01 Rig", "Anna 01 Camera"} <= set(bpy.data.objects.keys())
    assert bpy.context.scene.camera.name == "Anna 01 Camera"
    assert [take.name for take in bpy.context.scene.mien.takes] == ["Anna 01 photo"]
    assert bpy.context.object.name == "Anna 01"
    bpy.ops.ed.undo()
    assert not [name for name in bpy.data.objects.keys() if name.startswith("Anna")]
    assert len(bpy.context.scene.mien.takes) == 0
    bpy.ops.ed.redo()
    assert {"Anna 01", "Anna 01 Rig", "Anna 01 Camera"} <= set(bpy.data.objects.keys())
    assert bpy.ops.mien.capture_face(filepath=_photo(tmp_path), wait=True) == {"FINISHED"}
    assert "Anna 01 2" in bpy.data.objects


def test_progress_and_state_are_shown(panel: Panel, tmp_path: Path) -> None:
    import bpy

    bpy.ops.mien.capture_face(filepath=_photo(tmp_path, takes=3, pause=0.2))
    assert any(text.startswith("progress:Starting") for text in draw(bpy.types.MIEN_PT_capture))
    panel.until(lambda: panel.progress is not None and panel.progress.done > 0.3)
    drawn = draw(bpy.types.MIEN_PT_capture)
    assert "progress:Face 1" in drawn or "progress:Face 2" in drawn
    assert "operator:mien.cancel" in drawn
    assert "operator:mien.capture_face:Capture Face" in drawn  # the next one queues
    assert "Capturing on Fake" in draw(bpy.types.MIEN_PT_state)
    panel.finish()
    panel.until(lambda: panel.session.phrase == "Ready on Fake")
    assert len(bpy.context.scene.mien.takes) == 3


def test_the_head_waits_while_the_user_is_in_the_middle_of_something(
    panel: Panel, mien: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    import bpy

    in_hand = ["Move"]
    assert mien("compat").work_in_hand() == ""
    monkeypatch.setattr(mien("compat"), "work_in_hand", lambda: in_hand[0])
    before = set(bpy.data.objects.keys())
    bpy.ops.mien.capture_face(filepath=_photo(tmp_path))
    panel.until(lambda: "progress:Ready, waits for Move" in draw(bpy.types.MIEN_PT_capture))
    assert panel.session.running and set(bpy.data.objects.keys()) == before
    in_hand[0] = ""
    panel.finish()
    assert "Anna 01" in bpy.data.objects
    in_hand[0] = "Render"
    bpy.ops.mien.capture_face(filepath=_photo(tmp_path))
    panel.until(lambda: "progress:Ready, waits for Render" in draw(bpy.types.MIEN_PT_capture))
    bpy.ops.mien.cancel()
    assert not panel.session.running
    in_hand[0] = ""
    panel.session.pump()
    assert "Anna 01 2" not in bpy.data.objects


def test_the_head_goes_to_the_scene_that_it_was_captured_for(panel: Panel, tmp_path: Path) -> None:
    import bpy

    window, first = bpy.context.window_manager.windows[0], bpy.context.scene
    bpy.ops.mien.capture_face(filepath=_photo(tmp_path))
    window.scene = other = bpy.data.scenes.new("Other")
    panel.finish()
    assert panel.session.error is None
    assert set(first.objects.keys()) == {"Anna 01", "Anna 01 Rig", "Anna 01 Camera"}
    assert first.camera.name == "Anna 01 Camera" and len(first.mien.takes) == 1
    assert not other.objects and window.scene == other


def test_a_full_disk_leaves_the_scene_alone(panel: Panel, mien: Any, tmp_path: Path, monkeypatch: Any) -> None:
    import bpy

    errors = mien("contract.errors")

    def full(*_: Any) -> None:
        raise errors.MienError(errors.ErrorCode.NO_SPACE, "The disk is full.", "Make room, then capture again.")

    monkeypatch.setattr(mien("contract.take").Take, "save", full)
    with pytest.raises(RuntimeError, match="The disk is full. Make room"):
        bpy.ops.mien.capture_face(filepath=_photo(tmp_path), wait=True)
    assert not bpy.data.objects and not panel.session.running


def test_cancel_stops_and_leaves_the_scene_alone(panel: Panel, tmp_path: Path) -> None:
    import bpy

    before = set(bpy.data.objects.keys())
    bpy.ops.mien.capture_face(filepath=_photo(tmp_path, takes=2, pause=30))
    panel.until(lambda: panel.progress is not None and panel.progress.stage == "start")
    bpy.ops.mien.cancel()
    panel.finish()
    assert set(bpy.data.objects.keys()) == before
    assert panel.session.error is None  # the user wanted it
    assert bpy.ops.mien.capture_face.poll()
    assert bpy.ops.mien.capture_face(filepath=_photo(tmp_path), wait=True) == {"FINISHED"}


def test_a_photo_that_blender_cannot_show_has_a_copy_behind_the_head(panel: Panel, tmp_path: Path) -> None:
    import bpy

    assert bpy.ops.mien.capture_face(filepath=_photo(tmp_path, backdrop=True)) == {"FINISHED"}
    panel.finish()
    camera = bpy.data.objects["Anna 01 Camera"].data
    (behind,) = camera.background_images
    assert tuple(behind.image.size) == (640, 480)
    assert behind.image.packed_file  # the backend deletes its copy one day


def test_no_face_is_said_and_can_be_put_away(panel: Panel, tmp_path: Path) -> None:
    import bpy

    photo = _photo(tmp_path, error=True)
    with pytest.raises(RuntimeError, match="No face in .*anna_01.png. Use another photo"):
        bpy.ops.mien.capture_face(filepath=photo, wait=True)
    drawn = " ".join(draw(bpy.types.MIEN_PT_capture))
    assert "No face in" in drawn and "Use another photo" in drawn and "operator:mien.open_log:Open Log" in drawn
    bpy.ops.mien.clear_error()
    assert "No face in" not in " ".join(draw(bpy.types.MIEN_PT_capture))


def test_a_capture_at_which_the_backend_dies_again_and_again_fails(panel: Panel, tmp_path: Path) -> None:
    import bpy

    bpy.ops.mien.capture_face(filepath=_photo(tmp_path, die=int(signal.SIGKILL), keep=False))
    panel.finish()
    assert panel.session.error is not None and panel.session.error.code == "backend_died"
    assert "The backend stopped" in " ".join(draw(bpy.types.MIEN_PT_capture))
    assert bpy.ops.mien.capture_face(filepath=_photo(tmp_path), wait=True) == {"FINISHED"}
    assert panel.session.error is None


def test_check_and_restart(panel: Panel) -> None:
    import bpy

    assert bpy.ops.mien.check_backend(wait=True) == {"FINISHED"}
    assert panel.session.phrase == "Ready on Fake"
    first = panel.session._client.pid
    bpy.ops.mien.restart_backend()
    panel.until(lambda: panel.session.phrase == "Ready on Fake" and panel.session._client.pid != first)
    assert panel.session.log_file.parent.name == "logs"


def test_opening_another_file_gives_the_capture_up(panel: Panel, tmp_path: Path) -> None:
    import bpy

    bpy.ops.mien.capture_face(filepath=_photo(tmp_path, pause=0.3))
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    assert not panel.session.running
    panel.until(lambda: panel.session.phrase == "Ready on Fake")
    assert not [item for item in bpy.data.objects if item.type == "MESH"]


def test_disabling_the_addon_ends_the_backend(panel: Panel, mien: Any) -> None:
    import bpy

    bpy.ops.mien.check_backend(wait=True)
    pid = panel.session._client.pid
    module = mien("ui").__package__.rpartition(".")[0]
    bpy.ops.preferences.addon_disable(module=module)
    try:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    finally:
        bpy.ops.preferences.addon_enable(module=module)


def test_a_take_is_applied_to_the_head_again(panel: Panel, tmp_path: Path) -> None:
    import bpy

    bpy.ops.mien.capture_face(filepath=_photo(tmp_path), wait=True)
    head = bpy.context.object
    smile = head.data.shape_keys.key_blocks["smile"]
    captured = smile.value
    head.data.shape_keys.animation_data.action = None
    head.parent.animation_data_clear()
    smile.value = 0.0
    bpy.ops.mien.apply_take()
    assert smile.value == pytest.approx(captured) and captured != 0.0
    assert head.data.shape_keys.animation_data.action is not None
    assert "operator:mien.apply_take" in draw(bpy.types.MIEN_PT_takes)


@pytest.fixture
def portrait(repository: Path) -> Path:
    """A photo with a face."""
    path = repository.parent / "shared" / "media" / "obama.jpg"
    if not path.is_file():
        pytest.skip("the photos (../shared/media) are not on this machine")
    return path


def test_the_real_backend_captures_a_photo(
    mien: Any, backend_python: str, repository: Path, portrait: Path, tmp_path: Path, evaluated: Any
) -> None:
    import bpy

    places, module = mien("contract.places"), mien("ui.session")
    places.write_backend_record(places.BackendRecord(backend_python, str(repository), mien("contract.version").VERSION))
    try:
        assert bpy.ops.mien.capture_face(filepath=str(portrait), wait=True) == {"FINISHED"}
    finally:
        module.end_session()
        places.backend_record_path().unlink()
    scene = bpy.context.scene
    head = bpy.data.objects["Obama"]
    assert (scene.render.resolution_x, scene.render.resolution_y) == (910, 1137)
    assert tuple(scene.camera.data.background_images[0].image.size) == (910, 1137)
    assert head["mien_head_id"] == "open"
    import bpy_extras.object_utils
    from mathutils import Vector

    seen = [bpy_extras.object_utils.world_to_camera_view(scene, scene.camera, Vector(p)) for p in evaluated(head)]
    across = [view.x for view in seen]
    assert 0.3 < min(across) < 0.45 and 0.6 < max(across) < 0.75  # where the face is in the photo
    assert all(view.z > 0 for view in seen)
