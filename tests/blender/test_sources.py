# SPDX-License-Identifier: GPL-3.0-or-later
"""Clips, numbered images and what is in the scene, as sources."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_layout import draw


@pytest.fixture(scope="session")
def footage(run_backend: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with small clips (see make_clips.py)."""
    folder = tmp_path_factory.mktemp("footage")
    run_backend(Path(__file__).with_name("make_clips.py"), folder)
    return folder


def _touch(folder: Path, *names: str) -> None:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"x")


def test_facts_of_a_clip_leave_nothing_behind(mien: Any, footage: Path) -> None:
    import bpy

    settings, facts = bpy.context.scene.mien, mien("ui.facts")
    facts.forget()
    source = str(footage / "even.mp4")
    bpy.ops.mien.choose_source(filepath=source)
    assert settings.source == source and not bpy.data.movieclips
    assert facts.facts(source).text == "64 x 48, 1.7 s, 24 fps"
    drawn = draw(bpy.types.MIEN_PT_source)
    assert {"64 x 48, 1.7 s, 24 fps", "prop:use_range"} <= set(drawn)
    assert source in mien("ui.pictures")._source  # which has no icons without a window
    assert "operator:mien.capture_performance:Capture Performance (40 frames)" in draw(bpy.types.MIEN_PT_capture)
    settings.use_range, settings.range_first, settings.range_last = True, 11, 30
    assert "operator:mien.capture_performance:Capture Performance (20 frames)" in draw(bpy.types.MIEN_PT_capture)
    options = mien("ui.asking").request_from(settings, bpy.context, source).options
    assert (options.first_frame, options.last_frame, options.fps) == (11, 30, None)


def test_a_turned_clip_is_told_as_it_is_seen(mien: Any, footage: Path) -> None:
    assert mien("ui.facts").facts_now(str(footage / "turned.mp4")).text.startswith("48 x 64, ")


def test_a_clip_is_never_read_while_blender_draws(mien: Any, footage: Path, monkeypatch: Any) -> None:
    facts, read = mien("ui.facts"), []
    monkeypatch.setattr(facts, "_clips", {})
    monkeypatch.setattr(facts, "_read_clip", lambda path: read.append(path) or facts.Facts("read"))
    assert facts.facts(str(footage / "even.mp4")).text == "Reading…"
    assert not read
    facts._read_later(str(footage / "even.mp4"))
    assert facts.facts(str(footage / "even.mp4")).text == "read" and len(read) == 1


def test_a_clip_that_changed_is_read_again(mien: Any, footage: Path, tmp_path: Path) -> None:
    facts = mien("ui.facts")
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"no clip")
    assert facts.facts_now(str(path)).text == "Blender cannot read this clip"  # the backend may
    path.write_bytes((footage / "even.mp4").read_bytes())
    assert facts.facts_now(str(path)).frames == 40


def test_numbered_images_are_a_clip(mien: Any, footage: Path) -> None:
    import bpy

    settings, facts = bpy.context.scene.mien, mien("ui.facts")
    folder = footage / "numbered"
    for source in (str(folder), str(folder / "shot.####.png"), str(folder / "shot.%04d.png")):
        bpy.ops.mien.choose_source(filepath=source)
        found = facts.facts(source)
        assert found.text == "64 x 48, 6 images, 2 missing"
        assert (found.first, found.last, found.frames) == (1001, 1008, 8)
        assert (settings.range_first, settings.range_last) == (1001, 1008)
        assert "prop:fps" in draw(bpy.types.MIEN_PT_source)
        assert mien("ui.asking").request_from(settings, bpy.context, source).options.fps == 24.0
    bpy.ops.mien.choose_source(filepath=str(folder / "shot.1001.png"))
    assert facts.facts(settings.source).kind == "photo"
    assert "operator:mien.capture_face:Capture Face" in draw(bpy.types.MIEN_PT_capture)
    bpy.ops.mien.choose_source(filepath=str(folder / "shot.1001.png"), as_sequence=True)
    assert settings.source == str(folder / "shot.####.png")


@pytest.mark.parametrize(
    ("names", "path", "numbers"),
    [
        (("a1.png", "a2.png", "a10.png", "b7.png"), "", {1, 2, 10}),
        (("a.png", "b.png"), "", None),
        (("s_99.jpg", "s_100.jpg"), "s_##.jpg", {99, 100}),
        (("s_1.jpg", "s_01.jpg"), "s_##.jpg", {1}),
        (("take2_001.png", "take2_002.png"), "take2_###.png", {1, 2}),
        (("s.1.exr", "x.txt"), "", None),
        (("ü 1.png", "ü 2.png"), "ü #.png", {1, 2}),
        (("a[1].png",), "a[#].png", {1}),
    ],
)
def test_numberings(mien: Any, tmp_path: Path, names: tuple[str, ...], path: str, numbers: set[int] | None) -> None:
    _touch(tmp_path / "f", *names)
    found = mien("ui.sequences").find(os.path.join(str(tmp_path / "f"), path) if path else str(tmp_path / "f"))
    assert (found and set(found.names)) == numbers


def test_a_pattern_comes_from_the_last_number(mien: Any) -> None:
    pattern_of = mien("ui.sequences").pattern_of
    assert pattern_of("/x1/shot2.1001.png") == "/x1/shot2.####.png"
    assert pattern_of("/x1/anna.png") == ""
    assert pattern_of("/x/7.mp4") == "/x/#.mp4"


def test_sources_that_are_none_say_so(mien: Any, tmp_path: Path) -> None:
    import bpy

    (tmp_path / "empty").mkdir()
    for path, words in (
        (tmp_path / "empty", "no numbered images"),
        (tmp_path / "a.##.png", "No image has such a name"),
    ):
        with pytest.raises(RuntimeError, match=words):
            bpy.ops.mien.choose_source(filepath=str(path))
        with pytest.raises(RuntimeError, match=words):
            bpy.ops.mien.capture_performance(filepath=str(path))


def test_another_source_forgets_the_range_of_the_last_one(mien: Any, footage: Path) -> None:
    import bpy

    settings = bpy.context.scene.mien
    settings.source = str(footage / "even.mp4")
    settings.use_range, settings.range_last, settings.start_mode = True, 3, "SCENE"
    settings.source = str(footage / "numbered")
    assert not settings.use_range and settings.range_last == 1008 and settings.start_mode == "CURRENT"


@pytest.mark.parametrize("mode", ["SOURCE", "GIVEN"])
def test_another_source_begins_where_the_artist_wants_it(mien: Any, footage: Path, mode: str) -> None:
    import bpy

    settings = bpy.context.scene.mien
    settings.start_mode = mode
    settings.source = str(footage / "numbered")
    assert settings.start_mode == mode


def test_the_clip_behind_the_camera_is_offered(mien: Any, footage: Path) -> None:
    import bpy

    scene = bpy.context.scene
    assert "The scene has no clip" in draw(bpy.types.MIEN_MT_from_scene)
    with pytest.raises(RuntimeError, match="no such clip"):
        bpy.ops.mien.source_from_scene(kind="CAMERA")
    clip = bpy.data.movieclips.load(str(footage / "even.mp4"))
    clip.frame_start, clip.frame_offset = 21, 4
    scene.camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    behind = scene.camera.data.background_images.new()
    behind.source, behind.clip = "MOVIE_CLIP", clip
    drawn = draw(bpy.types.MIEN_MT_from_scene)
    assert "operator:mien.source_from_scene:Camera: even.mp4" in drawn
    assert "operator:mien.source_from_scene:Clip: even.mp4" in drawn
    bpy.ops.mien.source_from_scene(kind="CAMERA")
    settings = scene.mien
    assert settings.source == str(footage / "even.mp4")
    assert (settings.use_range, settings.range_first, settings.range_last) == (True, 5, 40)
    assert len(bpy.data.movieclips) == 1
    assert _start(mien) == 21
    settings.range_first = 15  # less of it still begins where the scene shows that
    assert _start(mien) == 31
    settings.use_range = False
    assert _start(mien) == 17


@pytest.mark.parametrize(
    ("name", "user", "ranged", "start"),
    [
        ("even.mp4", (51, 0, 40), None, 51),
        ("even.mp4", (51, 10, 20), (11, 30), 51),
        ("even.mp4", (51, 10, 30), (11, 40), 51),
        ("numbered", (1, 1000, 8), None, 1),
        ("numbered", (101, 1004, 2), (1005, 1006), 101),
    ],
)
def test_the_image_behind_the_camera_is_taken_where_it_is_shown(
    mien: Any, footage: Path, name: str, user: tuple[int, int, int], ranged: tuple[int, int] | None, start: int
) -> None:
    import bpy

    scene = bpy.context.scene
    scene.camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    behind = scene.camera.data.background_images.new()
    behind.image = mien("camera.footage").load_footage(footage / name).image
    shown = behind.image_user
    shown.frame_start, shown.frame_offset, shown.frame_duration = user
    assert f"operator:mien.source_from_scene:Camera: {behind.image.name}" in draw(bpy.types.MIEN_MT_from_scene)
    bpy.ops.mien.source_from_scene(kind="CAMERA")
    settings = scene.mien
    assert settings.use_range == bool(ranged)
    assert ranged is None or (settings.range_first, settings.range_last) == ranged
    assert _start(mien) == start


def _start(mien: Any) -> int:
    import bpy

    settings = bpy.context.scene.mien
    return int(mien("ui.asking").request_from(settings, bpy.context, settings.source).scene_options.start)


def test_a_trimmed_strip_gives_its_range(mien: Any, footage: Path) -> None:
    import bpy

    scene = bpy.context.scene
    scene.render.fps = 24
    editor = scene.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    strip = strips.new_movie("Shot", str(footage / "even.mp4"), channel=1, frame_start=101)
    new = "left_handle_offset" in strip.bl_rna.properties  # from 5.2 on
    for name, old, value in (
        ("left_handle_offset", "frame_offset_start", 6),
        ("right_handle_offset", "frame_offset_end", 10),
    ):
        setattr(strip, name if new else old, value)
    editor.active_strip = strip
    bpy.ops.mien.source_from_scene(kind="STRIP", clip="Shot")
    settings = scene.mien
    assert (settings.use_range, settings.range_first, settings.range_last) == (True, 7, 30)
    assert _start(mien) == 107
    assert "operator:mien.source_from_scene:Strip: Shot" in draw(bpy.types.MIEN_MT_from_scene)
    images = strips.new_image("Images", str(footage / "numbered" / "shot.1002.png"), channel=2, frame_start=1)
    for number in (1005, 1006, 1007):
        images.elements.append(f"shot.{number}.png")
    editor.active_strip = images
    bpy.ops.mien.source_from_scene(kind="STRIP")
    assert settings.source == str(footage / "numbered" / "shot.####.png") and settings.range_first == 1002


def test_references_are_listed_and_sent(mien: Any, footage: Path, tmp_path: Path) -> None:
    import bpy

    settings = bpy.context.scene.mien
    assert "operator:mien.add_reference" in draw(bpy.types.MIEN_PT_references)
    _touch(tmp_path, "notes.txt", "anna.png")
    with pytest.raises(RuntimeError, match="neither a photo nor a clip"):
        bpy.ops.mien.add_reference(filepath=str(tmp_path / "notes.txt"))
    bpy.ops.mien.add_reference(filepath=str(tmp_path / "anna.png"))
    bpy.ops.mien.add_reference(
        filepath=str(footage / "x"), files=[{"name": "even.mp4"}, {"name": "wide.mp4"}, {"name": "even.mp4"}]
    )
    wanted = (str(tmp_path / "anna.png"), str(footage / "even.mp4"), str(footage / "wide.mp4"))
    assert mien("ui.asking").request_from(settings, bpy.context, wanted[1]).options.references == wanted
    settings.active_reference = 1
    bpy.ops.mien.remove_reference()
    assert [item.path for item in settings.references] == [wanted[0], wanted[2]]


def test_start_frames(mien: Any, footage: Path) -> None:
    import bpy

    scene, settings = bpy.context.scene, bpy.context.scene.mien
    settings.source = str(footage / "numbered")
    scene.frame_set(33)
    settings.start = 7

    def start() -> int:
        return mien("ui.asking").request_from(settings, bpy.context, settings.source).scene_options.start

    assert start() == 33
    settings.start_mode = "GIVEN"
    assert start() == 7
    settings.start_mode = "SOURCE"
    assert start() == 1001
    settings.use_range, settings.range_first = True, 1004
    assert start() == 1004


def test_clips_can_be_dropped(mien: Any) -> None:
    import bpy

    assert {".mp4", ".mov", ".jpg"} <= set(bpy.types.MIEN_FH_source.bl_file_extensions.split(";"))


def test_a_request_survives_as_json(mien: Any, footage: Path) -> None:
    import json

    import bpy

    settings = bpy.context.scene.mien
    settings.references.add().path = "/tmp/anna.png"
    settings.neck_share, settings.timing, settings.reuse_head = 0.3, "source", True
    request = mien("ui.asking").request_from(settings, bpy.context, str(footage / "even.mp4"))
    module = mien("ui.request")
    assert module.Request.from_json(json.loads(json.dumps(request.to_json())), request.scene) == request
