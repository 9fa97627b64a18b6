# SPDX-License-Identifier: GPL-3.0-or-later
"""Heads that are posed without keys: live, and previews of running captures."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from make_head import moving_take, random_take, synthetic_head
from staging import Stage, in_package

TOLERANCE = 1e-5  # metres


@pytest.mark.parametrize("follow", [False, True])
@pytest.mark.parametrize("rotation_mode", ["XYZ", "QUATERNION", "AXIS_ANGLE"])
def test_a_head_is_posed_without_keys(
    mien: Any, evaluated: Any, tmp_path: Path, rotation_mode: str, follow: bool
) -> None:
    import bpy

    head = synthetic_head(1, follow=follow)
    own, take = in_package(mien, head, random_take(head, 3), tmp_path)
    scene = bpy.context.scene
    built = mien("rig.build").build_head(own, take.identity, "Anna", scene, mien("rig.build").BuildOptions())
    mesh, rig = bpy.data.objects[built.mesh], bpy.data.objects[built.rig]
    for bone in rig.pose.bones:
        bone.rotation_mode = rotation_mode
    for seed in (4, 5):
        _, seen = in_package(mien, head, random_take(head, seed), tmp_path)
        mien("animation.pose").pose_head(mesh, seen, origin=take.translation[0])
        expected = mien("rig.posed").posed_vertices(own, dataclasses.replace(seen, identity=take.identity))
        moved = mien("axes").head_offset(seen.translation[0], take.translation[0])
        assert np.linalg.norm(evaluated(mesh) - mien("axes").to_blender(expected) - moved, axis=1).max() < TOLERANCE
    assert rig.animation_data is None and not bpy.data.actions


def test_a_pose_of_the_same_camera_stands_before_it(mien: Any, evaluated: Any, tmp_path: Path) -> None:
    head = synthetic_head(1)
    stage = Stage(mien, head, random_take(head, 3), tmp_path)
    stage.rig.animation_data_clear()
    stage.mesh.data.shape_keys.animation_data.action = None
    nearer = dataclasses.replace(stage.take, translation=stage.take.translation - np.float32([0.1, 0.0, 0.2]))
    before = evaluated(stage.mesh)
    mien("animation.pose").pose_head(stage.mesh, nearer)
    np.testing.assert_allclose(
        evaluated(stage.mesh) - before, np.tile((-0.1, -0.2, 0.0), (len(before), 1)), atol=TOLERANCE
    )


def test_a_preview_follows_pose_and_identity_and_goes_without_a_trace(
    mien: Any, evaluated: Any, tmp_path: Path
) -> None:
    import bpy

    head = synthetic_head(1)
    own, take = in_package(mien, head, random_take(head, 3), tmp_path)
    other = Stage(mien, head, random_take(head, 8), tmp_path)
    kinds = ("objects", "meshes", "materials", "collections", "armatures", "shape_keys", "actions", "cameras")
    counts = {kind: len(getattr(bpy.data, kind)) for kind in kinds}
    active = bpy.context.view_layer.objects.active
    preview, names, scene = mien("rig.preview"), mien("rig.names"), bpy.context.scene
    made = preview.add_preview(own, take, scene)
    mesh = bpy.data.objects[made.mesh]
    assert names.is_preview(mesh) and names.heads(bpy.data.objects) == [other.mesh]
    assert (bpy.context.view_layer.objects.active, mesh.select_get()) == (active, False)
    for seed in (4, 5):
        _, seen = in_package(mien, head, random_take(head, seed), tmp_path)
        preview.update_preview(mesh, own, seen)
        moved = mien("axes").head_offset(seen.translation[0], take.translation[0])
        expected = mien("axes").to_blender(mien("rig.posed").posed_vertices(own, seen)) + moved
        np.testing.assert_allclose(evaluated(mesh), expected, atol=1e-6)
    second = preview.add_preview(own, take, scene)
    assert second.mesh != made.mesh
    preview.remove_previews()
    assert {kind: len(getattr(bpy.data, kind)) for kind in kinds} == counts
    wrong_head, wrong = in_package(mien, synthetic_head(2), random_take(synthetic_head(2), 1), tmp_path)
    with pytest.raises(mien("contract.errors").MienError):
        preview.add_preview(own, wrong, scene)
    assert len(bpy.data.objects) == counts["objects"] and wrong_head is not None


def test_the_numpy_head_is_the_backends(mien: Any, reference: Path) -> None:
    for case in ("egg", "flame_like", "open", "open_wide", "performance"):
        head = mien("contract.head").HeadDescription.load(reference / f"{case}.head.npz")
        take = mien("contract.take").Take.load(reference / f"{case}.take.npz")
        expected = np.load(reference / f"{case}.vertices.npy")
        for index in range(0, len(take), 7):
            found = mien("rig.posed").posed_vertices(head, take, index)
            assert np.linalg.norm(found - expected[index], axis=1).max() < 2e-6


def test_previews_in_a_saved_file_can_be_taken_away(mien: Any, tmp_path: Path) -> None:
    import bpy

    head = synthetic_head(1)
    own, take = in_package(mien, head, moving_take(head, 3), tmp_path)
    mien("rig.preview").add_preview(own, take, bpy.context.scene)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "running.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "running.blend"))
    mien("rig.preview").remove_previews()
    assert not bpy.data.objects and not bpy.data.meshes
