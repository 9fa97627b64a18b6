# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes of clips on heads: the curves, the timeline, the camera, and what the head does over time."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from make_head import moving_take, random_take, synthetic_head
from staging import Stage, blender_pixels, in_package, points

TOLERANCE = 1e-5  # metres
PIXELS = 0.01


def _stage(mien: Any, folder: Path, take: Any = None, **options: Any) -> Stage:
    head = synthetic_head(1)
    return Stage(mien, head, moving_take(head) if take is None else take, folder, **options)


@pytest.mark.parametrize("rotation_mode", ["XYZ", "QUATERNION"])
def test_the_head_is_the_backends_at_every_frame(
    mien: Any, reference: Path, evaluated: Any, tmp_path: Path, rotation_mode: str
) -> None:
    import bpy

    head = mien("contract.head").HeadDescription.load(reference / "performance.head.npz")
    take = mien("contract.take").Take.load(reference / "performance.take.npz")
    stage = Stage(mien, head, take, tmp_path, start=101, build={"rotation_mode": rotation_mode})
    axes, project = mien("axes"), mien("contract.projection").project
    expected = np.load(reference / "performance.vertices.npy").astype(np.float64)
    corners = head.landmarks["mediapipe478"]
    scene, metres, pixels = bpy.context.scene, 0.0, 0.0
    for index in (0, 3, 14, 15, 16, 23):  # the cut is before 15
        scene.frame_set(101 + index)
        world = evaluated(stage.mesh)
        moved = axes.head_offset(take.translation[index], take.translation[0])
        metres = max(metres, np.linalg.norm(world - moved - axes.to_blender(expected[index]), axis=1).max())
        truth = project(expected[index], take.translation[index], take.camera_matrix)
        pixels = max(pixels, np.abs(blender_pixels(scene, scene.camera, world) - truth).max())
        faces = head.faces[corners.faces]
        spots = np.einsum("nk,nkc->nc", corners.barycentric, world[faces])
        marks = np.einsum("nk,nkc->nc", corners.barycentric, expected[index][faces])
        truth = project(marks, take.translation[index], take.camera_matrix)
        pixels = max(pixels, np.abs(blender_pixels(scene, scene.camera, spots) - truth).max())
    print(f"{metres:.2e} m, {pixels:.2e} px")
    assert metres < TOLERANCE
    assert pixels < PIXELS


def test_curves_have_exactly_the_takes_values(mien: Any, tmp_path: Path) -> None:
    stage = _stage(mien, tmp_path, start=11)
    take = stage.take
    expected = np.arange(11, 11 + len(take), dtype=np.float32)
    for number, name in enumerate(take.meta.channels):
        keys = points(stage.curve(f'key_blocks["{name}"].value'))
        np.testing.assert_array_equal(keys, np.stack((expected, take.expression[:, number]), axis=1))
    lids = points(stage.curve('key_blocks["eyeBlinkRight"].value'))
    np.testing.assert_array_equal(lids[:, 1], take.eyelids[:, 1])
    turns = np.stack([points(stage.curve('pose.bones["jaw"].rotation_euler', axis))[:, 1] for axis in range(3)], axis=1)
    axes, rotations = mien("axes"), mien("animation.rotations")
    quaternions = axes.quaternions(axes.to_bone("jaw", take.jaw))
    np.testing.assert_allclose(turns, rotations.eulers(quaternions, "XYZ", np.arange(len(take)) == 0), atol=1e-6)
    curves = mien("compat").fcurves_of(stage.rig)
    assert {curve.group.name for curve in curves} == {"root", "neck", "jaw", "eye.L", "eye.R"}


def test_nothing_is_interpolated_across_a_cut(mien: Any, tmp_path: Path) -> None:
    take = moving_take(synthetic_head(1), 20, cut=12)
    stage = _stage(mien, tmp_path, take, start=1)
    curves = [*mien("compat").fcurves_of(stage.rig), *mien("compat").fcurves_of(stage.mesh.data.shape_keys)]
    for curve in curves:
        keys = curve.keyframe_points
        assert [point.interpolation for point in keys] == ["LINEAR"] * 11 + ["CONSTANT"] + ["LINEAR"] * 8
        assert curve.evaluate(12.9) == pytest.approx(keys[11].co[1], abs=1e-6)
        assert curve.evaluate(11.5) == pytest.approx((keys[10].co[1] + keys[11].co[1]) / 2, abs=1e-6)
    record = mien("animation.smooth").record_of(stage.mesh)
    assert (record.cuts, record.gaps) == ((13.0,), ())
    assert [(marker.frame, marker.name) for marker in stage.action.pose_markers] == [(13, "Cut")]


def test_filled_frames_are_listed_by_scene_frame(mien: Any, tmp_path: Path) -> None:
    take = moving_take(synthetic_head(1), 20, cut=12, gap=(9, 14))
    stage = _stage(mien, tmp_path, take, start=101)
    record = mien("animation.smooth").record_of(stage.mesh)
    assert record.gaps == ((110.0, 112.0), (113.0, 115.0))  # a gap ends with its shot
    assert len(points(stage.curve('key_blocks["mouthClose"].value'))) == 20  # filled frames are keyed as well


def test_an_empty_scene_takes_the_clips_rate_and_range(mien: Any, tmp_path: Path) -> None:
    import bpy

    scene = bpy.context.scene
    scene.render.fps = 25
    stage = _stage(mien, tmp_path, moving_take(synthetic_head(1), 30, 24000 / 1001), start=1001)
    assert scene.render.fps == 24 and scene.render.fps_base == pytest.approx(1.001, abs=1e-6)
    assert (scene.frame_start, scene.frame_end) == (1001, 1030)
    assert stage.captured.warnings == ()
    np.testing.assert_array_equal(points(stage.curve(".location", 0))[:, 0], np.arange(1001, 1031))


def test_a_scene_with_other_animation_keeps_its_rate_and_grows(mien: Any, tmp_path: Path) -> None:
    import bpy

    scene = bpy.context.scene
    scene.render.fps, scene.frame_start, scene.frame_end = 25, 5, 40
    other = bpy.data.objects.new("Other", None)
    scene.collection.objects.link(other)
    other.keyframe_insert("location", frame=1)
    other.keyframe_insert("location", frame=50)
    stage = _stage(mien, tmp_path, moving_take(synthetic_head(1), 30), start=20)
    assert (scene.render.fps, scene.frame_start, scene.frame_end) == (25, 5, 49)
    assert len(stage.captured.warnings) == 1 and "25 frames a second" in stage.captured.warnings[0]
    np.testing.assert_array_equal(points(stage.curve(".location", 0))[:, 0], np.arange(20, 50))
    again = _stage(mien, tmp_path, moving_take(synthetic_head(1), 10, 25.0), start=10)
    assert (scene.frame_start, scene.frame_end) == (5, 49) and again.captured.warnings == ()


def test_a_still_leaves_rate_and_range_alone(mien: Any, tmp_path: Path) -> None:
    import bpy

    scene = bpy.context.scene
    before = scene.render.fps, scene.frame_start, scene.frame_end
    _stage(mien, tmp_path, random_take(synthetic_head(1), 1))
    assert (scene.render.fps, scene.frame_start, scene.frame_end) == before


def test_source_timing_keeps_real_time(mien: Any, tmp_path: Path) -> None:
    import bpy

    scene = bpy.context.scene
    scene.render.fps = 30
    stage = _stage(mien, tmp_path, moving_take(synthetic_head(1), 24, 24.0), start=1, timing="source")
    np.testing.assert_allclose(points(stage.curve(".location", 0))[:, 0], 1 + np.arange(24) * 1.25, atol=1e-4)
    assert (scene.render.fps, scene.frame_start, scene.frame_end) == (30, 1, 30)


def test_uneven_frames_lie_where_their_timestamps_are(mien: Any, tmp_path: Path) -> None:
    take = moving_take(synthetic_head(1), 12, 30.0)
    times = np.cumsum([0.0, *([1 / 30, 1 / 24] * 6)])[:12]
    take = dataclasses.replace(take, time=times)
    conformed = _stage(mien, tmp_path, take, start=1)
    whole = [1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13]
    np.testing.assert_array_equal(points(conformed.curve(".location", 0))[:, 0], whole)
    real = _stage(mien, tmp_path, take, start=1, timing="source")
    np.testing.assert_allclose(points(real.curve(".location", 0))[:, 0], 1 + times * 30.0, atol=2e-3)


def test_a_take_goes_on_another_head_of_the_same_kind(mien: Any, evaluated: Any, tmp_path: Path) -> None:
    import bpy

    head, take = synthetic_head(1), moving_take(synthetic_head(1), 20)
    stage = _stage(mien, tmp_path, take, start=1)
    own, other = in_package(mien, head, random_take(head, 9), tmp_path)
    build = mien("rig.build")
    built = build.build_head(own, other.identity, "Bob", bpy.context.scene, build.BuildOptions())
    mesh = bpy.data.objects[built.mesh]
    mesh.parent.location = (1.0, 2.0, 3.0)
    apply = mien("animation.apply")
    applied = apply.apply_take(mesh, stage.take, bpy.context.scene, apply.ApplyOptions(start=1))
    assert (applied.action, applied.first, applied.last) == ("Bob shot_010", 1.0, 20.0)
    posed, axes = mien("rig.posed").posed_vertices, mien("axes")
    swapped = dataclasses.replace(stage.take, identity=other.identity)
    for index in (0, 7, 19):
        bpy.context.scene.frame_set(1 + index)
        moved = axes.head_offset(stage.take.translation[index], stage.take.translation[0])
        expected = axes.to_blender(posed(own, swapped, index)) + moved + (1.0, 2.0, 3.0)
        assert np.linalg.norm(evaluated(mesh) - expected, axis=1).max() < TOLERANCE
    assert np.abs(posed(own, swapped, 0) - posed(own, stage.take, 0)).max() > 1e-3  # it is another head


def test_a_take_of_another_kind_of_head_touches_nothing(mien: Any, tmp_path: Path) -> None:
    import bpy

    stage = _stage(mien, tmp_path, random_take(synthetic_head(1), 1))
    head = synthetic_head(2)
    _, wrong = in_package(mien, head, moving_take(head, 20, 50.0), tmp_path)
    errors, before = mien("contract.errors"), set(bpy.data.actions)
    with pytest.raises(errors.MienError) as refused:
        mien("animation.apply").apply_take(stage.mesh, wrong, bpy.context.scene)
    assert refused.value.code == errors.ErrorCode.WRONG_HEAD
    assert (set(bpy.data.actions), bpy.context.scene.render.fps) == (before, 24)


def test_a_second_range_of_the_same_camera_stands_before_it_too(mien: Any, evaluated: Any, tmp_path: Path) -> None:
    import bpy

    stage = _stage(mien, tmp_path, moving_take(synthetic_head(1), 20), start=1)
    moved = stage.take.translation + np.float32([0.1, 0.05, 0.2])
    later = dataclasses.replace(stage.take, translation=moved, extra={})
    apply = mien("animation.apply")
    apply.apply_take(stage.mesh, later, bpy.context.scene, apply.ApplyOptions(start=21))
    bpy.context.scene.frame_set(25)
    truth = mien("contract.projection").project(
        mien("rig.posed").posed_vertices(stage.head, later, 4), later.translation[4], later.camera_matrix
    )
    seen = blender_pixels(bpy.context.scene, stage.camera, evaluated(stage.mesh))
    assert np.abs(seen - truth).max() < PIXELS


@pytest.mark.parametrize("follow", [False, True])
def test_the_necks_share_leaves_the_face_where_it_is(mien: Any, evaluated: Any, tmp_path: Path, follow: bool) -> None:
    import bpy

    head = synthetic_head(3, correctives=False, follow=follow)
    rigid = np.zeros_like(head.skinning)
    rigid[:, 1] = 1.0  # all of it hangs on the neck, as a face does
    rigid[:10] = np.eye(5, dtype=np.float32)[0]
    head = dataclasses.replace(head, skinning=rigid)
    take = moving_take(head, 10)
    whole = Stage(mien, head, take, tmp_path, start=1)
    shared = Stage(mien, head, take, tmp_path, start=1, neck_share=0.4)
    offset = 0.0
    for frame in (1, 4, 9):
        bpy.context.scene.frame_set(frame)
        one, other = evaluated(whole.mesh), evaluated(shared.mesh)
        np.testing.assert_allclose(other[10:], one[10:], atol=TOLERANCE)
        offset = max(offset, np.abs(other[:10] - one[:10]).max())
    assert offset > 1e-3  # what hangs on the root does move
    with pytest.raises(mien("contract.errors").MienError):
        mien("animation.apply").ApplyOptions(neck_share=1.5)


def test_people_of_one_clip_stand_before_one_camera(mien: Any, evaluated: Any, tmp_path: Path) -> None:
    import bpy

    head = synthetic_head(1)
    pairs = [in_package(mien, head, moving_take(head, 12, seed=seed), tmp_path) for seed in (4, 5)]
    scene, module = bpy.context.scene, mien("scene")
    takes = [take for _, take in pairs]
    made = module.add_captures(pairs[0][0], takes, None, scene, module.SceneOptions(start=1)).heads
    assert made[0].camera == made[1].camera and made[0].action != made[1].action
    assert scene.render.fps == 24 and (scene.frame_start, scene.frame_end) == (1, 12)
    project, posed = mien("contract.projection").project, mien("rig.posed").posed_vertices
    for index in (0, 5, 11):
        scene.frame_set(1 + index)
        for item, take in zip(made, takes, strict=True):
            seen = blender_pixels(scene, scene.camera, evaluated(bpy.data.objects[item.head.mesh]))
            truth = project(posed(pairs[0][0], take, index), take.translation[index], take.camera_matrix)
            assert np.abs(seen - truth).max() < PIXELS


def test_a_performance_survives_saving_and_appending(mien: Any, evaluated: Any, tmp_path: Path) -> None:
    import bpy

    stage = _stage(mien, tmp_path, start=1)
    bpy.context.scene.frame_set(30)
    before = evaluated(stage.mesh)
    smooth = mien("animation.smooth")
    record = smooth.record_of(stage.mesh)
    path = str(tmp_path / "shot.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    bpy.ops.wm.open_mainfile(filepath=path)
    bpy.context.scene.frame_set(1)
    assert np.abs(evaluated(stage.mesh) - before).max() > 1e-3
    bpy.context.scene.frame_set(30)
    np.testing.assert_allclose(evaluated(stage.mesh), before, atol=1e-7)
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    with bpy.data.libraries.load(path, link=False) as (found, wanted):
        wanted.collections = [name for name in found.collections if name == stage.names.collection]
    bpy.context.scene.collection.children.link(bpy.data.collections[stage.names.collection])
    bpy.context.scene.frame_set(30)
    np.testing.assert_allclose(evaluated(stage.mesh), before, atol=1e-7)
    assert smooth.record_of(stage.mesh) == record and not smooth.curves_changed(stage.mesh)
    smooth.resmooth(stage.mesh, stage.take, 0.0)
    assert smooth.record_of(stage.mesh).smoothing == 0.0


def test_one_undo_step_takes_everything_back(mien: Any, tmp_path: Path) -> None:
    import bpy

    bpy.context.scene.render.fps = 30
    bpy.ops.ed.undo_push(message="Before")
    _stage(mien, tmp_path, start=1)
    bpy.ops.ed.undo_push(message="Capture")
    assert bpy.data.actions and bpy.context.scene.render.fps == 24
    bpy.ops.ed.undo()
    assert not bpy.data.actions and not bpy.data.objects
    assert (bpy.context.scene.render.fps, bpy.context.scene.frame_end) == (30, 250)
    bpy.ops.ed.redo()
    assert len(bpy.data.objects) == 3 and bpy.context.scene.frame_end == 48
