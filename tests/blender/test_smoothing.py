# SPDX-License-Identifier: GPL-3.0-or-later
"""Smoothing a performance anew, and strips of the NLA."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from make_head import moving_take, random_take, synthetic_head
from staging import Stage, in_package, points

BROW, JAW = 'key_blocks["browInnerUp"].value', 'pose.bones["jaw"].rotation_euler'


@pytest.fixture
def stage(mien: Any, tmp_path: Path) -> Stage:
    """A head with a performance of 48 frames from frame 1."""
    head = synthetic_head(1)
    return Stage(mien, head, moving_take(head), tmp_path, start=1)


def _values(stage: Stage, path: str, index: int = 0) -> np.ndarray:
    return points(stage.curve(path, index))[:, 1]


def test_curves_follow_the_strength(mien: Any, stage: Stage, evaluated: Any) -> None:
    import bpy

    smooth, contract, axes = mien("animation.smooth"), mien("contract.smoothing"), mien("axes")
    for strength in (0.0, 1.0, 0.3):
        smooth.resmooth(stage.mesh, stage.take, strength)
        expected = contract.smooth(stage.take, strength)
        np.testing.assert_array_equal(_values(stage, BROW), expected.expression[:, 0])
        turns = axes.quaternions(axes.to_bone("jaw", expected.jaw))
        angles = mien("animation.rotations").eulers(turns, "XYZ", np.arange(48) == 0)
        np.testing.assert_allclose(_values(stage, JAW, 1), angles[:, 1], atol=1e-6)
        assert smooth.record_of(stage.mesh).smoothing == strength
        bpy.context.view_layer.update()  # no change of frame: what is seen follows at once
        key = stage.mesh.evaluated_get(bpy.context.evaluated_depsgraph_get()).data.shape_keys.key_blocks["browInnerUp"]
        assert key.value == pytest.approx(expected.expression[0, 0], abs=1e-6)
    np.testing.assert_array_equal(contract.smooth(stage.take, 0.0).expression, stage.take.extra["raw_expression"])
    rough = np.abs(np.diff(stage.take.extra["raw_expression"][:, 0], 2)).mean()
    smooth.resmooth(stage.mesh, stage.take, 1.0, {"brows": 1.0, "mouth": 0.0})
    assert np.abs(np.diff(_values(stage, BROW), 2)).mean() < 0.5 * rough
    mouth = stage.take.meta.channels.index("mouthClose")
    close = _values(stage, 'key_blocks["mouthClose"].value')
    np.testing.assert_array_equal(close, stage.take.extra["raw_expression"][:, mouth])


def test_keys_that_were_moved_in_time_stay_there(mien: Any, stage: Stage) -> None:
    smooth, compat = mien("animation.smooth"), mien("compat")
    for curve in [*compat.fcurves_of(stage.rig), *compat.fcurves_of(stage.mesh.data.shape_keys)]:
        keys = points(curve)
        keys[:, 0] = 100.0 + 2.0 * keys[:, 0]
        curve.keyframe_points.foreach_set("co", keys.ravel())
        curve.update()
    assert not smooth.curves_changed(stage.mesh)
    smooth.resmooth(stage.mesh, stage.take, 0.0)
    np.testing.assert_array_equal(points(stage.curve(BROW))[:, 0], 102.0 + 2.0 * np.arange(48))
    np.testing.assert_array_equal(_values(stage, BROW), stage.take.extra["raw_expression"][:, 0])


def test_edited_curves_are_not_overwritten_unasked(mien: Any, stage: Stage) -> None:
    smooth, errors = mien("animation.smooth"), mien("contract.errors")
    assert not smooth.curves_changed(stage.mesh)
    stage.curve(BROW).keyframe_points[7].co[1] = 0.77
    assert smooth.curves_changed(stage.mesh)
    with pytest.raises(errors.MienError) as refused:
        smooth.resmooth(stage.mesh, stage.take, 0.0)
    assert refused.value.details["cause"] == "edited"
    assert _values(stage, BROW)[7] == pytest.approx(0.77)
    curves = mien("compat").fcurves_of(stage.mesh.data.shape_keys)
    gone = stage.curve('key_blocks["mouthClose"].value')
    stage.curve('key_blocks["jawForward"].value').keyframe_points.remove(
        stage.curve('key_blocks["jawForward"].value').keyframe_points[3]
    )
    mien("compat").channels_in(stage.mesh.data.shape_keys.animation_data.action, stage.mesh.data.shape_keys).remove(
        gone
    )
    smooth.resmooth(stage.mesh, stage.take, 0.0, force=True)
    assert len(mien("compat").fcurves_of(stage.mesh.data.shape_keys)) == len(curves)
    assert len(points(stage.curve('key_blocks["jawForward"].value'))) == 48
    assert not smooth.curves_changed(stage.mesh)


def test_takes_that_do_not_belong_are_refused(mien: Any, stage: Stage, tmp_path: Path) -> None:
    import dataclasses

    smooth, errors = mien("animation.smooth"), mien("contract.errors")
    other = dataclasses.replace(stage.take, meta=dataclasses.replace(stage.take.meta, person=2))
    with pytest.raises(errors.MienError) as refused:
        smooth.resmooth(stage.mesh, other, 0.5)
    assert (refused.value.code, refused.value.details["cause"]) == (errors.ErrorCode.BAD_TAKE, "other")
    head = synthetic_head(1)
    own, take = in_package(mien, head, random_take(head, 1), tmp_path)
    import bpy

    built = mien("rig.build").build_head(
        own, take.identity, "Idle", bpy.context.scene, mien("rig.build").BuildOptions()
    )
    idle = bpy.data.objects[built.mesh]
    assert smooth.record_of(idle) is None
    with pytest.raises(errors.MienError) as refused:
        smooth.resmooth(idle, stage.take, 0.5)
    assert refused.value.code == errors.ErrorCode.USAGE


def test_strips_play_what_the_action_played(mien: Any, stage: Stage, evaluated: Any, tmp_path: Path) -> None:
    import bpy

    scene = bpy.context.scene
    keys = stage.mesh.data.shape_keys
    seen = {}
    for frame in (1, 20, 48):
        scene.frame_set(frame)
        seen[frame] = evaluated(stage.mesh)
    name = stage.action.name
    strips = mien("animation.nla").push_to_nla(stage.mesh)
    assert strips == ("shot_010", "shot_010")
    for owner in (stage.rig, keys):
        assert owner.animation_data.action is None
        (track,) = owner.animation_data.nla_tracks
        (strip,) = track.strips
        assert (strip.frame_start, strip.frame_end, strip.scale) == (1.0, 48.0, 1.0)
    assert stage.rig.animation_data.nla_tracks[0].strips[0].action.name == name
    for frame, vertices in seen.items():
        scene.frame_set(frame)
        np.testing.assert_allclose(evaluated(stage.mesh), vertices, atol=1e-6)
    with pytest.raises(mien("contract.errors").MienError):
        mien("animation.nla").push_to_nla(stage.mesh)
    smooth = mien("animation.smooth")
    smooth.resmooth(stage.mesh, stage.take, 0.0)  # the slider reaches the strip's action
    scene.frame_set(20)
    assert np.abs(evaluated(stage.mesh) - seen[20]).max() > 1e-6


def test_another_take_goes_on_after_a_strip(mien: Any, stage: Stage, evaluated: Any, tmp_path: Path) -> None:
    import bpy

    scene, apply = bpy.context.scene, mien("animation.apply")
    scene.frame_set(20)
    early = evaluated(stage.mesh)
    mien("animation.nla").push_to_nla(stage.mesh)
    head = synthetic_head(1)
    _, second = in_package(mien, head, moving_take(head, 30, seed=2), tmp_path)
    applied = apply.apply_take(stage.mesh, second, scene, apply.ApplyOptions(start=101))
    scene.frame_set(110)
    late = evaluated(stage.mesh)
    scene.frame_set(20)
    np.testing.assert_allclose(evaluated(stage.mesh), early, atol=1e-6)
    assert (scene.frame_start, scene.frame_end) == (1, 130)
    assert mien("animation.smooth").performance_of(stage.mesh).name == applied.action
    assert len(mien("animation.nla").push_to_nla(stage.mesh)) == 2
    scene.frame_set(110)
    np.testing.assert_allclose(evaluated(stage.mesh), late, atol=1e-6)
    scene.frame_set(20)
    np.testing.assert_allclose(evaluated(stage.mesh), early, atol=1e-6)


def test_a_head_whose_strip_is_being_tweaked_is_left_alone(mien: Any, stage: Stage) -> None:
    import bpy

    mien("animation.nla").push_to_nla(stage.mesh)
    data = stage.rig.animation_data
    data.nla_tracks[0].select = data.nla_tracks[0].strips[0].select = True
    data.nla_tracks.active = data.nla_tracks[0]
    data.use_tweak_mode = True
    assert data.use_tweak_mode
    for call in (
        lambda: mien("animation.apply").apply_take(stage.mesh, stage.take, bpy.context.scene),
        lambda: mien("animation.nla").push_to_nla(stage.mesh),
    ):
        with pytest.raises(mien("contract.errors").MienError) as refused:
            call()
        assert refused.value.details["cause"] == "tweak"


def test_a_linked_head_is_refused_in_words(mien: Any, stage: Stage, tmp_path: Path) -> None:
    import bpy

    path = str(tmp_path / "shot.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    with bpy.data.libraries.load(path, link=True) as (_, wanted):
        wanted.collections = [stage.names.collection]
    bpy.context.scene.collection.children.link(bpy.data.collections[stage.names.collection])
    with pytest.raises(mien("contract.errors").MienError) as refused:
        mien("animation.apply").apply_take(stage.mesh, stage.take, bpy.context.scene)
    assert refused.value.details["cause"] == "linked"


def test_a_deleted_action_is_said(mien: Any, stage: Stage) -> None:
    import bpy

    if mien("compat").ONE_ACTION:
        pytest.skip("the shape keys have no action of their own")
    bpy.data.actions.remove(stage.mesh.data.shape_keys.animation_data.action)
    errors = mien("contract.errors")
    with pytest.raises(errors.MienError) as lost:
        mien("animation.smooth").resmooth(stage.mesh, stage.take, 0.0)
    assert lost.value.code == errors.ErrorCode.BAD_HEAD
