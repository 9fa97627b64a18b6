# SPDX-License-Identifier: GPL-3.0-or-later
"""Footage behind the head: which picture stands where, and that the head is rendered over it where the solve saw it."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from make_head import moving_take, synthetic_head
from staging import Stage

SIZE = (64, 48)


def _clip_take(first: int = 0, count: int = 20, times: np.ndarray | None = None, rate: float = 24.0) -> Any:
    """A take of some frames of a clip."""
    take = moving_take(synthetic_head(1), count, rate, size=SIZE)
    times = np.arange(200) / rate if times is None else times
    chosen = np.arange(first, first + count)
    return dataclasses.replace(take, time=times[chosen], extra={"frame": (chosen + 1).astype(np.int32)})


class Screen:
    """A plane that shows an image as the camera's background does, rendered to find out which picture it is."""

    def __init__(self, mien: Any, camera: Any) -> None:
        import bpy

        self.background = camera.data.background_images[0]
        self.camera = camera
        self.scene = scene = bpy.data.scenes.new("Screen")
        scene.render.engine, scene.cycles.samples = "CYCLES", 1
        scene.cycles.use_denoising = False
        scene.render.resolution_x, scene.render.resolution_y = SIZE
        scene.view_settings.view_transform = "Standard"
        eye = bpy.data.objects.new("Eye", bpy.data.cameras.new("Eye"))
        eye.data.type, eye.data.ortho_scale, eye.location = "ORTHO", 1.0, (0.5, 0.375, 1.0)
        mesh = bpy.data.meshes.new("Screen")
        mesh.from_pydata([(0, 0, 0), (1, 0, 0), (1, 0.75, 0), (0, 0.75, 0)], [], [(0, 1, 2, 3)])
        mesh.uv_layers.new().uv.foreach_set("vector", [0, 0, 1, 0, 1, 1, 0, 1])
        for item in (eye, bpy.data.objects.new("Screen", mesh)):
            scene.collection.objects.link(item)
        scene.camera = eye
        material = bpy.data.materials.new("Screen")
        tree = mien("compat").node_tree(material)
        tree.nodes.clear()
        texture, light, output = (
            tree.nodes.new(f"ShaderNode{name}") for name in ("TexImage", "Emission", "OutputMaterial")
        )
        tree.links.new(texture.outputs[0], light.inputs[0])
        tree.links.new(light.outputs[0], output.inputs[0])
        texture.interpolation, texture.image = "Closest", self.background.image
        self.user = texture.image_user
        mesh.materials.append(material)

    def number(self, frame: int, folder: Path) -> int:
        """Number, from 0, of the picture that the background shows on a scene frame."""
        import bpy

        bpy.context.scene.frame_set(frame)
        camera = self.camera.evaluated_get(bpy.context.evaluated_depsgraph_get())
        shown = camera.data.background_images[0].image_user
        assert shown.use_auto_refresh
        for name in ("frame_start", "frame_duration", "frame_offset", "use_auto_refresh"):
            setattr(self.user, name, getattr(shown, name))
        self.scene.frame_set(frame)
        self.scene.render.filepath = str(folder / "screen.png")
        bpy.ops.render.render(write_still=True, scene=self.scene.name)
        image = bpy.data.images.load(str(folder / "screen.png"))
        pixels = np.empty(SIZE[0] * SIZE[1] * 4, np.float32)
        image.pixels.foreach_get(pixels)
        bpy.data.images.remove(image)
        row = pixels.reshape(SIZE[1], SIZE[0], 4)[SIZE[1] // 4, 4::8, 1]
        return sum(1 << column for column in range(8) if row[column] > 0.5)


def _stage(mien: Any, folder: Path, take: Any, source: Path, **options: Any) -> Stage:
    return Stage(mien, synthetic_head(1), take, folder, str(source), **options)


def test_each_picture_stands_on_its_scene_frame(mien: Any, clips: Path, tmp_path: Path) -> None:
    stage = _stage(mien, tmp_path, _clip_take(), clips / "even.mp4", start=101)
    assert stage.captured.warnings == ()
    assert stage.camera.data.animation_data is None
    screen = Screen(mien, stage.camera)
    assert [screen.number(frame, tmp_path) for frame in (101, 102, 110, 120, 125)] == [0, 1, 9, 19, 24]
    assert stage.camera.data.background_images[0].frame_method == "FIT"


def test_a_range_of_a_clip_begins_with_its_own_picture(mien: Any, clips: Path, tmp_path: Path) -> None:
    stage = _stage(mien, tmp_path, _clip_take(first=12), clips / "even.mp4", start=1)
    screen = Screen(mien, stage.camera)
    assert [screen.number(frame, tmp_path) for frame in (1, 2, 20)] == [12, 13, 31]
    counted = dataclasses.replace(_clip_take(first=12), time=np.arange(20) / 24)  # times from the range's beginning
    again = _stage(mien, tmp_path, counted, clips / "even.mp4", start=1)
    assert Screen(mien, again.camera).number(1, tmp_path) == 12


def test_source_timing_retimes_the_footage(mien: Any, clips: Path, tmp_path: Path) -> None:
    import bpy

    bpy.context.scene.render.fps = 60
    stage = _stage(mien, tmp_path, _clip_take(), clips / "even.mp4", start=11, timing="source")
    screen = Screen(mien, stage.camera)
    frames = (11, 12, 13, 16, 21, 31, 46)
    nearest = [round((frame - 11) * 24 / 60) for frame in frames]
    assert [screen.number(frame, tmp_path) for frame in frames] == nearest
    assert len(stage.captured.warnings) == 1 and "nearest picture" in stage.captured.warnings[0]


def test_uneven_footage_lines_up_by_its_timestamps(mien: Any, clips: Path, tmp_path: Path) -> None:
    times = np.load(clips / "uneven.npy")
    take = _clip_take(count=40, times=times, rate=30.0)
    stage = _stage(mien, tmp_path, take, clips / "uneven.mp4", start=1)
    screen = Screen(mien, stage.camera)
    found = {frame: screen.number(frame, tmp_path) for frame in (1, 2, 5, 13, 22, 30, 41)}
    whole = np.array([point.co[0] for point in stage.curve(".location", 0).keyframe_points])
    assert (whole == np.round(whole)).all() and np.abs(whole - 1 - times * 30.0).max() < 0.51
    for frame, number in found.items():
        off = np.abs(whole - frame)
        assert off[number] == pytest.approx(off.min(), abs=1e-6), frame
    plain = mien("camera.footage").load_footage(clips / "uneven.mp4")
    assert plain.rate > 31  # the reader counts otherwise than the scene, so this was not for nothing
    assert "nearest picture" in stage.captured.warnings[0]


def test_numbered_images_with_gaps(mien: Any, clips: Path, tmp_path: Path) -> None:
    numbers = np.array([1001, 1002, 1005, 1006, 1007, 1008])
    take = moving_take(synthetic_head(1), 6, 24.0, size=SIZE)
    take = dataclasses.replace(take, time=(numbers - 1001) / 24, extra={"frame": numbers.astype(np.int32)})
    folder = clips / "numbered"
    for source in (folder, folder / "shot.####.png", folder / "shot.%04d.png", folder / "shot.1006.png"):
        stage = _stage(mien, tmp_path, take, source, start=1)
        assert stage.captured.warnings == ()
        screen = Screen(mien, stage.camera)
        assert [screen.number(frame, tmp_path) for frame in (1, 2, 5, 8)] == [0, 1, 4, 7]
    keys = stage.curve(".location", 0).keyframe_points
    assert [point.co[0] for point in keys] == [1, 2, 5, 6, 7, 8]


def test_turned_footage_stands_upright(mien: Any, clips: Path, tmp_path: Path) -> None:
    compat, footage = mien("compat"), mien("camera.footage")
    side = moving_take(synthetic_head(1), 10, 24.0, size=SIZE[::-1])
    for name, take, angle in (("turned", side, math.pi / 2), ("upside", _clip_take(), math.pi)):
        stage = _stage(mien, tmp_path, take, clips / f"{name}.mp4", start=1)
        background = stage.camera.data.background_images[0]
        assert stage.captured.warnings == ()
        if compat.TURNS_MOVIES:
            assert (background.rotation, background.scale, background.frame_method) == (0.0, 1.0, "FIT")
            upright = SIZE[::-1] if name == "turned" else SIZE
            assert tuple(background.image.size) == upright
        else:
            assert background.rotation == pytest.approx(angle)
            assert background.scale == pytest.approx(4 / 3 if name == "turned" else 1.0)
            assert tuple(background.image.size) == SIZE
    read = mien("camera.movie_orientation").read_movie_orientation
    assert [read(clips / f"{name}.mp4") for name in ("even", "turned", "upside")] == [1, 6, 3]
    cut = tmp_path / "cut.mp4"
    cut.write_bytes((clips / "turned.mp4").read_bytes()[:60])
    assert read(cut) == read(clips / "numbered" / "shot.1001.png") == 1
    assert footage.load_footage(clips / "even.mp4").rate == pytest.approx(24.0)


def test_pixels_that_are_not_square_are_stretched(mien: Any, clips: Path, tmp_path: Path) -> None:
    import bpy

    take = moving_take(synthetic_head(1), 10, 24.0, size=(85, 48))
    stage = _stage(mien, tmp_path, take, clips / "wide.mp4", start=1)
    assert stage.captured.warnings == ()
    assert stage.camera.data.background_images[0].frame_method == "STRETCH"
    render = bpy.context.scene.render
    assert (render.resolution_x, render.resolution_y) == (85, 48)
    other = moving_take(synthetic_head(1), 10, 24.0, size=(200, 100))
    assert "has changed" in _stage(mien, tmp_path, other, clips / "wide.mp4").captured.warnings[0]


def test_footage_that_cannot_be_shown_is_said_and_the_head_is_there(mien: Any, tmp_path: Path) -> None:
    bad = tmp_path / "clip.mov"
    bad.write_bytes(b"not a movie" * 50)
    for source in (bad, tmp_path / "gone.mp4"):
        stage = _stage(mien, tmp_path, _clip_take(), source)
        assert len(stage.captured.warnings) == 1 and source.name in stage.captured.warnings[0]
        assert stage.action is not None


def test_footage_that_is_in_the_scene_tells_where_the_take_begins(mien: Any, clips: Path, tmp_path: Path) -> None:
    import bpy

    scene = bpy.context.scene
    start_in_scene = mien("camera.footage").start_in_scene
    path = str(clips / "even.mp4")
    assert start_in_scene(scene, path, 13) is None
    clip = bpy.data.movieclips.load(path)
    clip.frame_start = 201
    assert start_in_scene(scene, path, 13) == 213
    stage = _stage(mien, tmp_path, _clip_take(first=12), clips / "even.mp4")
    assert stage.curve(".location", 0).keyframe_points[0].co[0] == 213.0
    assert Screen(mien, stage.camera).number(213, tmp_path) == 12
    assert [item.name for item in bpy.data.movieclips] == [clip.name] and clip.frame_start == 201
    editor = scene.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    strip = strips.new_movie("shot", path, 1, 301)
    strip.frame_offset_start = 5
    assert start_in_scene(scene, path, 1) == 301  # where its first picture would be, cut off or not
    asked = _stage(mien, tmp_path, _clip_take(), clips / "even.mp4", start=7)
    assert asked.curve(".location", 0).keyframe_points[0].co[0] == 7.0


@pytest.mark.parametrize("size", [(320, 240), (240, 320)])
def test_the_head_is_rendered_where_the_solve_saw_it(mien: Any, tmp_path: Path, size: tuple[int, int]) -> None:
    import bpy

    take = moving_take(synthetic_head(1), 12, size=size)
    stage = Stage(mien, synthetic_head(1), take, tmp_path, start=1, build={"subdivision": False})
    scene = bpy.context.scene
    scene.render.engine, scene.render.film_transparent = "BLENDER_WORKBENCH", True
    scene.display.render_aa = "OFF"
    posed, project = mien("rig.posed").posed_vertices, mien("contract.projection").project
    for index in (0, 4, 9):
        scene.frame_set(1 + index)
        scene.render.filepath = str(tmp_path / "render.png")
        scene.render.image_settings.color_mode = "RGBA"
        bpy.ops.render.render(write_still=True)
        image = bpy.data.images.load(scene.render.filepath)
        alpha = np.array(image.pixels[:]).reshape(size[1], size[0], 4)[::-1, :, 3] > 0.5
        bpy.data.images.remove(image)
        pixels = project(posed(stage.head, stage.take, index), stage.take.translation[index], stage.take.camera_matrix)
        truth = _filled(pixels, stage.head.faces, size)
        overlap = (alpha & truth).sum() / (alpha | truth).sum()
        moved = (np.roll(alpha, 4, axis=1) & truth).sum() / (np.roll(alpha, 4, axis=1) | truth).sum()
        print(f"{size} frame {index}: {overlap:.4f}")
        assert overlap > 0.98 > moved  # four pixels aside would be seen


def _filled(pixels: np.ndarray, faces: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Mask (H, W) of the pixels whose centres are in a triangle."""
    mask = np.zeros(size[::-1], bool)
    for corners in pixels[faces]:
        low = np.maximum(np.floor(corners.min(axis=0)).astype(int), 0)
        high = np.minimum(np.ceil(corners.max(axis=0)).astype(int), size)
        if (high <= low).any():
            continue
        x, y = np.meshgrid(np.arange(low[0], high[0]) + 0.5, np.arange(low[1], high[1]) + 0.5)
        sides = []
        for (ax, ay), (bx, by) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            sides.append((bx - ax) * (y - ay) - (by - ay) * (x - ax))
        inside = np.all([side >= 0 for side in sides], axis=0) | np.all([side <= 0 for side in sides], axis=0)
        mask[low[1] : high[1], low[0] : high[0]] |= inside
    return mask
