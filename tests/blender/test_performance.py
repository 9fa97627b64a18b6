# SPDX-License-Identifier: GPL-3.0-or-later
"""A clip becomes a performance: queue, previews, takes, smoothing, gaps; with a made-up backend in another process."""

from __future__ import annotations

import json
import time
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


def clip(folder: Path, name: str = "shot_010.mp4", **todo: Any) -> str:
    """A source that tells the made-up backend what to do, with the name of a clip."""
    path = folder / name
    path.write_text(json.dumps(todo))
    return str(path)


def curve(mien: Any, head: Any, name: str) -> np.ndarray:
    """Values of the keys of a shape key's curve."""
    path = f'key_blocks["{name}"].value'
    found = next(c for c in mien("compat").fcurves_of(head.data.shape_keys) if c.data_path == path)
    return np.array([point.co[1] for point in found.keyframe_points])


def roughness(values: np.ndarray) -> float:
    """How much a curve trembles."""
    return float(np.abs(np.diff(values, 2)).mean())


def test_a_clip_becomes_one_action_in_one_undo_step(panel: Panel, mien: Any, tmp_path: Path) -> None:
    import bpy

    bpy.ops.ed.undo_push(message="Before")
    bpy.context.scene.frame_set(11)
    source = clip(tmp_path, frames=30)
    assert bpy.ops.mien.capture_performance(filepath=source, first=5, last=24) == {"FINISHED"}
    assert bpy.context.scene.mien.use_range and bpy.context.scene.mien.source == source
    bpy.context.scene.frame_set(3)  # the artist goes on; the performance begins where it was asked for
    panel.finish()
    assert panel.session.error is None
    head = bpy.data.objects["Shot 010"]
    frames = sorted(
        {round(p.co[0]) for c in mien("compat").fcurves_of(head.data.shape_keys) for p in c.keyframe_points}
    )
    assert (frames[0], frames[-1]) == (11, 30)
    (take,) = bpy.context.scene.mien.takes
    assert (take.frames, take.engine) == (20, "fit") and Path(take.path).is_file()
    assert take.confidence == pytest.approx(0.86, abs=1e-3)
    bpy.ops.ed.undo()
    assert not bpy.data.objects and not bpy.context.scene.mien.takes
    bpy.ops.ed.redo()
    assert "Shot 010" in bpy.data.objects and len(bpy.context.scene.mien.takes) == 1


def test_the_bar_tells_frames_and_time_left_and_the_head_moves(panel: Panel, mien: Any, tmp_path: Path) -> None:
    import bpy

    bpy.ops.mien.capture_performance(filepath=clip(tmp_path, frames=60, frame_seconds=0.03))
    previews = mien("rig.names").is_preview
    shown: list[np.ndarray] = []

    def moved() -> bool:
        for item in bpy.data.objects:
            if previews(item):
                points = np.empty(len(item.data.vertices) * 3, np.float32)
                item.data.vertices.foreach_get("co", points)
                shown.append(points)
        return len(shown) > 1 and bool(np.abs(shown[-1] - shown[0]).max() > 1e-4)

    panel.until(moved)
    assert any(text.startswith("progress:") and " of 60 frames, " in text and text.endswith(" s left")
               for text in draw(bpy.types.MIEN_PT_capture))  # fmt: skip
    active = bpy.context.view_layer.objects.active
    assert active is None or not previews(active)
    panel.finish()
    assert not [item for item in bpy.data.objects if previews(item)]
    assert "Shot 010" in bpy.data.objects


def test_previews_wait_while_the_user_is_in_the_middle_of_something(
    panel: Panel, mien: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    import bpy

    in_hand = ["Move"]
    monkeypatch.setattr(mien("compat"), "work_in_hand", lambda: in_hand[0])
    bpy.ops.mien.capture_performance(filepath=clip(tmp_path, frames=100, frame_seconds=0.02))
    panel.until(lambda: bool(panel.session._newest) and panel.session.present[0].done > 0.3)
    assert not bpy.data.objects
    in_hand[0] = ""
    panel.until(lambda: len(bpy.data.objects) == 1)
    bpy.ops.mien.cancel()
    panel.finish()
    assert not bpy.data.objects and not bpy.data.meshes


def test_the_view_turns_to_the_preview_and_back_when_it_is_cancelled(panel: Panel, tmp_path: Path) -> None:
    import bpy

    area = next(area for area in bpy.context.window_manager.windows[0].screen.areas if area.type == "VIEW_3D")
    view = area.spaces.active.region_3d
    view.view_distance, view.view_location = 25.0, (3.0, 2.0, 1.0)
    bpy.ops.mien.capture_performance(filepath=clip(tmp_path, frames=100, frame_seconds=0.03))
    panel.until(lambda: bool(bpy.data.objects))
    assert view.view_distance < 2.0 and view.view_location.length < 1.0
    view.view_distance = 1.5  # the artist's own turns are not fought
    seen = panel.progress.frames.done
    panel.until(lambda: panel.progress.frames.done > seen + 10)
    assert view.view_distance == 1.5
    bpy.ops.mien.cancel()
    panel.finish()
    assert view.view_distance == 25.0 and tuple(view.view_location) == (3.0, 2.0, 1.0)


def test_a_second_preview_stands_aside_and_leaves_the_view(panel: Panel, mien: Any, tmp_path: Path) -> None:
    import bpy

    bpy.ops.mien.capture_performance(filepath=clip(tmp_path, frames=5), wait=True)
    area = next(area for area in bpy.context.window_manager.windows[0].screen.areas if area.type == "VIEW_3D")
    view = area.spaces.active.region_3d
    before = view.view_perspective, view.view_distance
    bpy.ops.mien.capture_performance(filepath=clip(tmp_path, "bea.mp4", frames=100, frame_seconds=0.03))
    found: list[Any] = []
    panel.until(lambda: bool(found.extend(i for i in bpy.data.objects if mien("rig.names").is_preview(i)) or found))
    assert found[0].location.x > 0.2
    assert (view.view_perspective, view.view_distance) == before


def test_captures_queue_and_each_can_be_cancelled(panel: Panel, tmp_path: Path) -> None:
    import bpy

    sources = [clip(tmp_path, f"shot_{number}.mp4", frames=8, frame_seconds=0.05) for number in (1, 2, 3)]
    for source in sources:
        bpy.ops.mien.capture_performance(filepath=source)
    first, second, third = panel.session.present
    drawn = draw(bpy.types.MIEN_PT_capture)
    assert [text for text in drawn if text.startswith("shot_")] == ["shot_1.mp4", "shot_2.mp4", "shot_3.mp4"]
    assert sum(text.startswith("progress:") for text in drawn) == 3
    bpy.ops.mien.cancel(job=second.job)
    panel.until(lambda: second not in panel.session.present)
    assert third in panel.session.present
    panel.finish()
    assert {take.name.split()[-1] for take in bpy.context.scene.mien.takes} == {"shot_1", "shot_3"}


def test_undo_while_a_capture_runs_does_not_lose_it(panel: Panel, mien: Any, tmp_path: Path) -> None:
    import bpy

    bpy.ops.ed.undo_push(message="Before")
    bpy.context.scene.render.fps = 30
    bpy.ops.ed.undo_push(message="Rate")
    bpy.ops.mien.capture_performance(filepath=clip(tmp_path, frames=20, frame_seconds=0.03))
    bpy.ops.mesh.primitive_cube_add()
    bpy.ops.ed.undo_push(message="Cube")
    panel.until(lambda: any(mien("rig.names").is_preview(item) for item in bpy.data.objects))
    bpy.ops.ed.undo()
    bpy.ops.ed.undo()
    assert bpy.context.scene.render.fps == 24
    assert [item.job for item in bpy.context.scene.mien.jobs] == [panel.session.present[0].job]
    panel.finish()
    assert panel.session.error is None and "Shot 010" in bpy.data.objects
    assert not bpy.context.scene.mien.jobs


def test_the_slider_smooths_anew_and_undo_takes_both_back(panel: Panel, mien: Any, tmp_path: Path) -> None:
    import bpy

    bpy.ops.mien.capture_performance(filepath=clip(tmp_path, frames=60), wait=True)
    head = bpy.context.object
    (take,) = bpy.context.scene.mien.takes
    smoothing = mien("ui.smoothing")
    take.smoothing = 0.0
    raw = curve(mien, head, "mouthSmileLeft")
    bpy.ops.ed.undo_push(message="Smoothing")
    take.smoothing = 1.0
    strong = curve(mien, head, "mouthSmileLeft")
    assert roughness(strong) < 0.5 * roughness(raw)
    assert smoothing.problem_of(take) is None
    bpy.ops.ed.undo_push(message="Smoothing")
    for step, strength, values in ((bpy.ops.ed.undo, 0.0, raw), (bpy.ops.ed.redo, 1.0, strong)):
        step()
        take, head = bpy.context.scene.mien.takes[0], bpy.data.objects["Shot 010"]
        assert take.smoothing == pytest.approx(strength)
        np.testing.assert_allclose(curve(mien, head, "mouthSmileLeft"), values, atol=1e-6)
    take.smooth_mouth = 0.0
    np.testing.assert_allclose(curve(mien, head, "mouthSmileLeft"), raw, atol=1e-6)
    assert {f"prop:smooth_{group}" for group in mien("contract.smoothing").GROUPS} == set(
        draw(bpy.types.MIEN_PT_smoothing)
    )


def test_a_slow_take_is_smoothed_by_the_timer(panel: Panel, mien: Any, tmp_path: Path, monkeypatch: Any) -> None:
    import bpy

    bpy.ops.mien.capture_performance(filepath=clip(tmp_path, frames=60), wait=True)
    head, smoothing = bpy.context.object, mien("ui.smoothing")
    (take,) = bpy.context.scene.mien.takes
    take.smoothing = 0.0
    raw = curve(mien, head, "mouthSmileLeft")
    monkeypatch.setattr(smoothing, "_cost", 10.0)
    take.smoothing = 1.0
    np.testing.assert_array_equal(curve(mien, head, "mouthSmileLeft"), raw)  # the drag is not held up
    assert smoothing.waiting()
    end = time.monotonic() + 10
    while not smoothing.apply_waiting():
        assert time.monotonic() < end
    assert roughness(curve(mien, head, "mouthSmileLeft")) < 0.5 * roughness(raw)
    # What an undo step between slider and curves has parted is brought together again.
    monkeypatch.setattr(smoothing, "_cost", 10.0)
    take.smoothing = 0.0
    smoothing._waiting.clear()
    mien("ui.ticker").after_undo()
    np.testing.assert_allclose(curve(mien, head, "mouthSmileLeft"), raw, atol=1e-6)


def test_curves_edited_by_hand_are_not_overwritten_in_silence(panel: Panel, mien: Any, tmp_path: Path) -> None:
    import bpy

    bpy.ops.mien.capture_performance(filepath=clip(tmp_path, frames=30), wait=True)
    head, smoothing = bpy.context.object, mien("ui.smoothing")
    (take,) = bpy.context.scene.mien.takes
    edited = next(c for c in mien("compat").fcurves_of(head.data.shape_keys) if "mouthSmileLeft" in c.data_path)
    edited.keyframe_points[7].co[1] = 2.0
    smoothing._written.clear()
    take.smoothing = 0.9
    assert curve(mien, head, "mouthSmileLeft")[7] == 2.0
    assert smoothing.problem_of(take).details["cause"] == "edited"
    assert "operator:mien.smooth_again" in draw(bpy.types.MIEN_PT_takes)
    bpy.ops.mien.smooth_again()
    assert curve(mien, head, "mouthSmileLeft")[7] != 2.0
    assert "operator:mien.smooth_again" not in draw(bpy.types.MIEN_PT_takes)


def test_smoothing_works_after_saving_and_says_when_the_take_is_gone(panel: Panel, mien: Any, tmp_path: Path) -> None:
    import bpy

    bpy.ops.mien.capture_performance(filepath=clip(tmp_path, frames=60), wait=True)
    path = str(tmp_path / "scene.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.open_mainfile(filepath=path)
    head, (take,) = bpy.data.objects["Shot 010"], bpy.context.scene.mien.takes
    shown = draw(bpy.types.MIEN_PT_takes)
    assert take.frames == 60 and any("60 frames" in text for text in shown)
    before = curve(mien, head, "mouthSmileLeft")
    take.smoothing = 0.0
    raw = curve(mien, head, "mouthSmileLeft")
    assert roughness(raw) > roughness(before)
    mien("ui.smoothing").forget()
    Path(take.path).unlink()
    take.smoothing = 1.0
    np.testing.assert_array_equal(curve(mien, head, "mouthSmileLeft"), raw)
    assert "Re-Capture" in " ".join(draw(bpy.types.MIEN_PT_takes))
    with pytest.raises(RuntimeError, match="Press Re-Capture"):
        bpy.ops.mien.smooth_take(strength=0.3)


def test_gaps_and_cuts_are_told_and_jumped_to(panel: Panel, mien: Any, tmp_path: Path) -> None:
    import bpy

    bpy.context.scene.frame_set(101)
    source = clip(
        tmp_path, frames=40, gaps=[[5, 7], [20, 22], [30, 30]], cuts=[15], problems=["The clip is cut short."]
    )
    bpy.ops.mien.capture_performance(filepath=source, wait=True)
    drawn = draw(bpy.types.MIEN_PT_takes)
    assert "operator:mien.jump_to_gap:3 gaps, 1 cut" in drawn
    assert {"43 ± 3 mm, estimated", "Static camera assumed", "The clip is cut short."} <= set(drawn)
    scene, places = bpy.context.scene, []
    for _ in range(5):
        bpy.ops.mien.jump_to_gap(forward=True)
        places.append(scene.frame_current)
    assert places == [105, 115, 120, 130, 105]
    bpy.ops.mien.jump_to_gap(forward=False)
    assert scene.frame_current == 130


def test_gaps_of_a_strip_are_found_where_it_was_moved_to(panel: Panel, tmp_path: Path) -> None:
    import bpy

    bpy.ops.mien.capture_performance(filepath=clip(tmp_path, frames=30, gaps=[[11, 14]], cuts=[21]), wait=True)
    bpy.ops.mien.push_to_nla()
    (strip,) = bpy.context.object.parent.animation_data.nla_tracks[0].strips
    strip.frame_end += 100
    strip.frame_start += 100
    strip.scale = 2.0
    places = []
    for _ in range(2):
        bpy.ops.mien.jump_to_gap()
        places.append(bpy.context.scene.frame_current)
    assert places == [101 + 2 * 10, 101 + 2 * 20]


def test_a_take_goes_to_the_nla_and_to_another_head(panel: Panel, mien: Any, tmp_path: Path) -> None:
    import bpy

    bpy.ops.mien.capture_performance(filepath=clip(tmp_path, frames=20), wait=True)
    first = bpy.context.object
    bpy.ops.mien.capture_performance(filepath=clip(tmp_path, "bea.mp4", frames=10), wait=True)
    second = bpy.context.object
    assert second.name == "Bea" and second != first
    settings = bpy.context.scene.mien
    settings.active_take = 0
    assert bpy.ops.mien.apply_take() == {"FINISHED"}
    np.testing.assert_allclose(curve(mien, second, "mouthSmileLeft"), curve(mien, first, "mouthSmileLeft"), atol=1e-6)
    settings.takes[0].smoothing = 0.0
    np.testing.assert_allclose(  # both follow the slider
        curve(mien, second, "mouthSmileLeft"), curve(mien, first, "mouthSmileLeft"), atol=1e-6
    )
    assert bpy.ops.mien.push_to_nla() == {"FINISHED"}
    assert second.parent.animation_data.nla_tracks and second.parent.animation_data.action is None
    assert first.parent.animation_data.action is not None


def test_smoothing_reaches_strips_and_what_is_played(panel: Panel, mien: Any, tmp_path: Path) -> None:
    import bpy

    settings = bpy.context.scene.mien
    bpy.ops.mien.capture_performance(filepath=clip(tmp_path, frames=30), wait=True)
    settings.reuse_head, head = True, bpy.context.object
    bpy.ops.mien.push_to_nla()
    settings.start_mode, settings.start = "GIVEN", 101
    bpy.ops.mien.apply_take()  # the same take twice
    bpy.ops.mien.push_to_nla()
    bpy.ops.mien.capture_performance(filepath=clip(tmp_path, "shot_020.mp4", frames=30), wait=True)
    records = mien("animation.record").read_record
    settings.takes[0].smoothing = 0.875
    assert sorted(records(action).smoothing for action in mien("animation.smooth").performances_of(head)) == [
        pytest.approx(settings.takes[1].smoothing), 0.875, 0.875,
    ]  # fmt: skip
    assert mien("ui.smoothing").problem_of(settings.takes[0]) is None


def test_the_slider_smooths_in_its_own_scene(panel: Panel, mien: Any, tmp_path: Path) -> None:
    import bpy

    bpy.ops.mien.capture_performance(filepath=clip(tmp_path, frames=30), wait=True)
    first, head = bpy.context.scene, bpy.context.object
    before = curve(mien, head, "mouthSmileLeft")
    bpy.ops.scene.new(type="FULL_COPY")
    (copied,) = mien("rig.names").heads(bpy.context.scene.objects)
    bpy.context.scene.mien.takes[0].smoothing = 0.0
    np.testing.assert_array_equal(curve(mien, head, "mouthSmileLeft"), before)
    assert roughness(curve(mien, copied, "mouthSmileLeft")) > roughness(before)
    mien("ui.ticker").after_undo()
    np.testing.assert_array_equal(curve(mien, head, "mouthSmileLeft"), before)
    assert first.mien.takes[0].smoothing == pytest.approx(0.5)


def test_who_waits_is_told_of_the_own_capture_only(panel: Panel, tmp_path: Path) -> None:
    import bpy

    bpy.ops.mien.capture_performance(filepath=clip(tmp_path, "bad.mp4", error=True))
    assert bpy.ops.mien.capture_performance(filepath=clip(tmp_path, frames=4), wait=True) == {"FINISHED"}
    assert "bad.mp4" in str(panel.session.error)
    with pytest.raises(RuntimeError, match="No face in"):
        bpy.ops.mien.capture_performance(filepath=clip(tmp_path, "bad.mp4", error=True), wait=True)


def test_a_cancelled_capture_leaves_the_active_head_as_it_was(panel: Panel, mien: Any, tmp_path: Path) -> None:
    import bpy

    settings = bpy.context.scene.mien
    bpy.ops.mien.capture_performance(filepath=clip(tmp_path, frames=20), wait=True)
    head, rig = bpy.context.object, bpy.context.object.parent
    for owner in (head.data.shape_keys, rig):
        owner.animation_data_clear()
    settings.reuse_head = True
    smile = head.data.shape_keys.key_blocks["mouthSmileLeft"]
    smile.value, rig.pose.bones["root"].rotation_euler.x = 0.125, 0.25
    bpy.ops.mien.capture_performance(filepath=clip(tmp_path, "shot_020.mp4", frames=200, frame_seconds=0.02))
    panel.until(lambda: smile.value != 0.125)
    bpy.ops.mien.cancel()
    panel.finish()
    assert smile.value == 0.125 and rig.pose.bones["root"].rotation_euler.x == 0.25


def test_people_are_offered_after_a_capture_and_after_a_wrong_choice(panel: Panel, tmp_path: Path) -> None:
    import bpy

    source = clip(tmp_path, frames=10, people=2)
    bpy.ops.mien.capture_performance(filepath=source, wait=True)
    drawn = draw(bpy.types.MIEN_PT_source)
    assert "2 people" in drawn and "picture" in drawn  # the contact sheet
    buttons = [f"operator:mien.choose_face:{label}" for label in ("1", "2", "All")]
    assert set(buttons) <= set(drawn)
    bpy.ops.mien.choose_face(face=0)
    assert "operator:mien.capture_performance:Capture All People" in draw(bpy.types.MIEN_PT_capture)
    bpy.ops.mien.capture_performance(wait=True)
    assert len(bpy.context.scene.mien.takes) == 3
    panel.session.people = None
    with pytest.raises(RuntimeError, match="shows 2 people. Choose one"):
        bpy.ops.mien.capture_performance(face=3, wait=True)
    assert set(buttons) <= set(draw(bpy.types.MIEN_PT_source))


def test_a_take_is_captured_again_with_its_own_range(panel: Panel, tmp_path: Path) -> None:
    import bpy

    bpy.ops.mien.capture_performance(filepath=clip(tmp_path, frames=30), first=3, last=9, wait=True)
    bpy.context.scene.mien.use_range = False
    bpy.context.scene.mien.takes[0].smoothing = 0.75
    assert bpy.ops.mien.capture_again() == {"FINISHED"}
    options = panel.session.present[0].request.options
    assert (options.first_frame, options.last_frame, options.smoothing) == (3, 9, 0.75)
    panel.finish()
    assert [take.frames for take in bpy.context.scene.mien.takes] == [7, 7]


def test_the_overlay_comes_to_the_front_and_back(mien: Any) -> None:
    import bpy

    scene = bpy.context.scene
    with pytest.raises(RuntimeError, match="nothing|no photo or clip behind it"):
        bpy.ops.mien.show_overlay()
    scene.camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    behind = scene.camera.data.background_images.new()
    bpy.ops.mien.show_overlay()
    assert (behind.display_depth, behind.alpha) == ("FRONT", 0.5)
    bpy.ops.mien.show_overlay()
    assert (behind.display_depth, behind.alpha) == ("BACK", 1.0)


def test_a_tick_with_news_is_short(panel: Panel, mien: Any, tmp_path: Path) -> None:
    import bpy

    bpy.ops.mien.capture_performance(filepath=clip(tmp_path, frames=60, frame_seconds=0.02))
    panel.until(lambda: len(bpy.data.objects) == 1)  # the preview is there
    seconds, shown = [], mien("ui.previewing").Previews
    count, plain = [0], shown.show

    def counted(*arguments: Any) -> None:
        count[0] += 1
        plain(*arguments)

    shown.show = counted
    try:
        while panel.session.present and not panel.session.present[0].finished:
            begin = time.perf_counter()
            panel.session.pump()
            seconds.append(time.perf_counter() - begin)
            time.sleep(0.005)
            if count[0] >= 5:
                break
    finally:
        shown.show = plain
    assert count[0] >= 5
    assert float(np.median(seconds)) < 0.01  # a machine with other work may hold up single ones


@pytest.fixture
def footage(repository: Path) -> Path:
    """A clip with a face."""
    path = repository.parent / "shared" / "media" / "WolfgangLanger_Pexels.mp4"
    if not path.is_file():
        pytest.skip("the clips (../shared/media) are not on this machine")
    return path


@pytest.mark.slow
def test_the_real_backend_captures_a_clip(mien: Any, backend_python: str, repository: Path, footage: Path) -> None:
    import bpy

    places, module = mien("contract.places"), mien("ui.session")
    module.end_session()
    places.write_backend_record(places.BackendRecord(backend_python, str(repository), mien("contract.version").VERSION))
    try:
        done = bpy.ops.mien.capture_performance(filepath=str(footage), first=25, last=72, wait=True)
        assert done == {"FINISHED"}
    finally:
        module.end_session()
        places.backend_record_path().unlink()
    scene = bpy.context.scene
    (take,) = scene.mien.takes
    assert take.frames == 48 and take.confidence > 0.5
    assert (scene.render.resolution_x, scene.render.resolution_y) == (640, 360)
    assert scene.render.fps / scene.render.fps_base == pytest.approx(24000 / 1001, rel=1e-4)
    assert len(scene.camera.data.background_images) == 1
    before = curve(mien, bpy.context.object, "mouthSmileLeft")
    assert len(before) == 48
    take.smoothing = 0.0
    assert roughness(curve(mien, bpy.context.object, "mouthSmileLeft")) > roughness(before)
