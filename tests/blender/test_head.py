# SPDX-License-Identifier: GPL-3.0-or-later
"""The head in Blender against the backend's head, and what an artist gets with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

CASES = ("egg", "flame_like", "open", "open_wide", "flame")
TOLERANCE = 1e-5  # metres


class Built:
    """A case of the reference, built in the scene."""

    def __init__(self, mien: Any, folder: Path, case: str, **build: Any) -> None:
        import bpy

        scene = mien("scene")
        self.head = mien("contract.head").HeadDescription.load(folder / f"{case}.head.npz")
        self.take = mien("contract.take").Take.load(folder / f"{case}.take.npz")
        self.expected = mien("axes").to_blender(np.load(folder / f"{case}.vertices.npy").astype(np.float64))
        options = scene.SceneOptions(build=mien("rig.build").BuildOptions(**build))
        self.captured = scene.add_captures(self.head, [self.take], None, bpy.context.scene, options)
        self.names = self.captured.heads[0].head

    @property
    def mesh(self) -> Any:
        import bpy

        return bpy.data.objects[self.names.mesh]

    @property
    def rig(self) -> Any:
        import bpy

        return bpy.data.objects[self.names.rig]


def _error(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(found - expected, axis=-1).max())


@pytest.mark.parametrize("rotation_mode", ["XYZ", "QUATERNION"])
@pytest.mark.parametrize("identity_keys", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_evaluated_mesh_is_the_backends_head(
    mien: Any, reference: Path, evaluated: Any, record_property: Any, case: str, identity_keys: bool, rotation_mode: str
) -> None:
    built = Built(mien, reference, case, identity_keys=identity_keys, rotation_mode=rotation_mode)
    error = _error(evaluated(built.mesh), built.expected[0])
    record_property("metres", error)
    print(f"{case}: {error:.2e} m")
    assert error < TOLERANCE


def test_every_frame_of_a_clip_is_the_backends_head(mien: Any, reference: Path, evaluated: Any) -> None:
    import bpy

    scene = bpy.context.scene
    scene.render.fps = 60
    scene.frame_set(11)
    built = Built(mien, reference, "clip")
    assert scene.render.fps == 30
    offset = mien("axes").head_offset
    for index in (0, 2, 3, 1):
        scene.frame_set(11 + index)
        moved = offset(built.take.translation[index], built.take.translation[0])
        assert _error(evaluated(built.mesh), built.expected[index] + moved) < TOLERANCE


def test_a_flame_head_with_a_hundred_components_follows_every_frame(
    mien: Any, reference: Path, evaluated: Any
) -> None:
    import bpy

    bpy.context.scene.render.fps = 24
    built = Built(mien, reference, "flame_clip")
    keys = built.mesh.data.shape_keys.key_blocks
    assert {f"exp{number:03d}" for number in range(1, 101)} <= set(keys.keys())
    assert keys["exp001"].slider_min <= -9.0 and keys["exp001"].slider_max >= 9.0
    assert not any(name.startswith("Identity") for name in keys.keys())
    start, offset = bpy.context.scene.frame_start, mien("axes").head_offset
    for index in (0, 3, 5):
        bpy.context.scene.frame_set(start + index)
        moved = offset(built.take.translation[index], built.take.translation[0])
        assert _error(evaluated(built.mesh), built.expected[index] + moved) < TOLERANCE


def test_drivers_work_where_python_from_files_is_forbidden(
    mien: Any, reference: Path, evaluated: Any, tmp_path: Path
) -> None:
    import bpy

    built = Built(mien, reference, "open")
    drivers = built.mesh.data.shape_keys.animation_data.drivers
    assert len(drivers) > 0
    assert all(curve.driver.is_simple_expression for curve in drivers)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "head.blend"))
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    bpy.context.preferences.filepaths.use_scripts_auto_execute = False
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "head.blend"), use_scripts=False)
    assert _error(evaluated(built.mesh), built.expected[0]) < TOLERANCE
    jaw = built.rig.pose.bones["jaw"]
    built.rig.animation_data_clear()
    jaw.rotation_euler = (0.0, 0.0, 0.0)
    bpy.context.view_layer.update()
    correctives = [key for key in built.mesh.data.shape_keys.key_blocks if key.name.startswith("Corrective jaw")]
    assert correctives and all(abs(key.value) < 1e-6 for key in correctives)
    jaw.rotation_euler = (0.5, 0.0, 0.0)
    bpy.context.view_layer.update()
    by_name = {key.name: key.value for key in correctives}
    assert by_name["Corrective jaw 11"] == pytest.approx(np.cos(0.5) - 1.0, abs=1e-6)
    assert by_name["Corrective jaw 12"] == pytest.approx(-np.sin(0.5), abs=1e-6)
    assert by_name["Corrective jaw 21"] == pytest.approx(np.sin(0.5), abs=1e-6)


def test_keys_are_named_by_arkit_and_start_free_of_clamping(mien: Any, reference: Path) -> None:
    built = Built(mien, reference, "open")
    keys = built.mesh.data.shape_keys.key_blocks
    assert keys[0].name == "Basis"
    assert set(built.head.expression_names) | {"eyeBlinkLeft", "eyeBlinkRight"} <= set(keys.keys())
    assert "mouthSmileLeft" in keys
    for name, value in zip(built.head.expression_names, built.take.expression[0], strict=True):
        assert keys[name].value == pytest.approx(value, abs=1e-6)
        assert keys[name].slider_min <= -1.0 and keys[name].slider_max >= 2.0
    assert not any(name.startswith("Identity") for name in keys.keys())


def test_identity_keys_carry_the_coefficients(mien: Any, reference: Path) -> None:
    built = Built(mien, reference, "open_wide", identity_keys=True)
    keys = built.mesh.data.shape_keys.key_blocks
    found = [keys[f"Identity {index + 1:03d}"].value for index in range(len(built.take.identity))]
    assert np.abs(built.take.identity).max() > 2.0
    np.testing.assert_allclose(found, built.take.identity, atol=1e-6)


def test_update_joints_follows_edited_identity_keys(mien: Any, reference: Path, evaluated: Any) -> None:
    import bpy

    edited = Built(mien, reference, "egg", identity_keys=True)
    fresh = Built(mien, reference, "egg")
    keys = edited.mesh.data.shape_keys.key_blocks
    right = [keys[f"Identity {index + 1:03d}"].value for index in range(len(edited.take.identity))]
    for index, value in enumerate(right):
        keys[f"Identity {index + 1:03d}"].value = value + 3.0
    mien("rig.armature").update_joints(edited.mesh)
    wrong = evaluated(edited.mesh)
    assert _error(wrong, edited.expected[0]) > 1e-3
    for index, value in enumerate(right):
        keys[f"Identity {index + 1:03d}"].value = value
    moved = mien("rig.armature").update_joints(edited.mesh)
    assert moved > 1e-4
    assert _error(evaluated(edited.mesh), edited.expected[0]) < TOLERANCE
    assert _error(evaluated(fresh.mesh), edited.expected[0]) < TOLERANCE
    assert bpy.context.object.mode == "OBJECT"


def test_bones_are_the_heads_joints(mien: Any, reference: Path) -> None:
    built = Built(mien, reference, "open")
    bones = built.rig.data.bones
    assert [bone.name for bone in bones] == ["root", "neck", "jaw", "eye.L", "eye.R"]
    assert {bone.name: bone.parent.name if bone.parent else None for bone in bones} == {
        "root": None, "neck": "root", "jaw": "neck", "eye.L": "neck", "eye.R": "neck"
    }  # fmt: skip
    assert bones["eye.L"].head_local.x > 0 > bones["eye.R"].head_local.x
    assert bones["jaw"].tail_local.y < bones["jaw"].head_local.y  # out of the face
    assert np.allclose(bones["jaw"].x_axis, (1, 0, 0), atol=1e-6)


def test_positive_x_opens_the_jaw(mien: Any, reference: Path, evaluated: Any) -> None:
    built = Built(mien, reference, "open")
    built.rig.animation_data_clear()
    for bone in built.rig.pose.bones:
        bone.rotation_euler = (0.0, 0.0, 0.0)
    closed = evaluated(built.mesh)
    built.rig.pose.bones["jaw"].rotation_euler = (0.4, 0.0, 0.0)
    opened = evaluated(built.mesh)
    moved = (opened - closed)[:, 2]
    assert moved.min() < -0.01 and moved.max() < 0.003


def test_surface_is_whole(mien: Any, reference: Path) -> None:
    built = Built(mien, reference, "open")
    mesh, head = built.mesh.data, built.head
    sides = np.empty(len(mesh.polygons), np.int32)
    mesh.polygons.foreach_get("loop_total", sides)
    assert len(sides) == len(head.polygons)
    assert np.array_equal(sides, np.where(head.polygons[:, 3] < 0, 3, 4))
    assert (sides == 4).sum() > 5000
    assert all(polygon.use_smooth for polygon in mesh.polygons)
    assert [material.name for material in mesh.materials] == [f"Alice {name.capitalize()}" for name in head.materials]
    used = np.empty(len(sides), np.int32)
    mesh.polygons.foreach_get("material_index", used)
    assert np.array_equal(used, head.polygon_material)
    corners = np.empty(len(mesh.loops) * 2, np.float32)
    mesh.uv_layers["UVMap"].uv.foreach_get("vector", corners)
    indices = head.polygon_uvs.ravel()
    np.testing.assert_array_equal(corners.reshape(-1, 2), head.uv[indices[indices >= 0]])
    colours = np.empty(len(mesh.vertices) * 4, np.float32)
    mesh.color_attributes["Albedo"].data.foreach_get("color_srgb", colours)
    np.testing.assert_allclose(colours.reshape(-1, 4)[:, :3] * 255.0, head.albedo, atol=0.51)
    assert mesh.color_attributes.active_color.name == "Albedo"


def test_materials_show_the_colours(mien: Any, reference: Path) -> None:
    built = Built(mien, reference, "open")
    for material in built.mesh.data.materials:
        shader = next(node for node in material.node_tree.nodes if node.bl_idname == "ShaderNodeBsdfPrincipled")
        link = shader.inputs["Base Color"].links[0]
        assert (link.from_node.bl_idname, link.from_node.layer_name) == ("ShaderNodeVertexColor", "Albedo")


def test_skinning_groups_are_the_weights(mien: Any, reference: Path) -> None:
    built = Built(mien, reference, "open")
    groups = [group.name for group in built.mesh.vertex_groups]
    weights = np.zeros_like(built.head.skinning)
    for vertex in built.mesh.data.vertices:
        for element in vertex.groups:
            weights[vertex.index, groups.index(built.mesh.vertex_groups[element.group].name)] = element.weight
    np.testing.assert_allclose(weights, built.head.skinning, atol=1e-7)
    assert built.mesh.modifiers["Armature"].use_deform_preserve_volume is False


def test_subdivision_is_for_renders_only(mien: Any, reference: Path) -> None:
    modifier = Built(mien, reference, "egg").mesh.modifiers["Subdivision"]
    assert (modifier.show_viewport, modifier.show_render, modifier.render_levels) == (False, True, 1)


def test_head_is_the_same_after_saving_and_opening(mien: Any, reference: Path, evaluated: Any, tmp_path: Path) -> None:
    import bpy

    built = Built(mien, reference, "open", identity_keys=True)
    before = evaluated(built.mesh)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "head.blend"))
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    assert built.names.mesh not in bpy.data.objects
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "head.blend"))
    assert _error(evaluated(built.mesh), before) < 1e-7
    assert built.mesh["mien_head_sha256"] == built.head.sha256
    assert mien("rig.armature").update_joints(built.mesh) < 1e-6  # places the bones where they are, without the backend


def test_a_second_head_gets_its_own_names(mien: Any, reference: Path) -> None:
    first, second = Built(mien, reference, "egg"), Built(mien, reference, "egg")
    assert (first.names.mesh, first.names.rig, first.names.collection) == ("Alice", "Alice Rig", "Alice")
    assert (second.names.mesh, second.names.rig, second.names.collection) == ("Alice 2", "Alice 2 Rig", "Alice 2")
    assert second.captured.heads[0].camera == "Alice 2 Camera"
    assert first.mesh.data.materials[0] != second.mesh.data.materials[0]


def test_a_take_of_another_head_is_refused(mien: Any, reference: Path) -> None:
    import bpy

    built = Built(mien, reference, "egg")
    errors, apply = mien("contract.errors"), mien("animation.apply")
    take = mien("contract.take").Take.load(reference / "open.take.npz")
    with pytest.raises(errors.MienError) as refused:
        apply.apply_take(built.mesh, take, bpy.context.scene)
    assert refused.value.code == errors.ErrorCode.WRONG_HEAD
    assert "Alice" in refused.value.message
    with pytest.raises(errors.MienError):
        mien("scene").add_captures(built.head, [take], None, bpy.context.scene)
    assert len(bpy.data.collections) == 1


def test_a_head_that_lost_its_attributes_says_so(mien: Any, reference: Path) -> None:
    built = Built(mien, reference, "egg", identity_keys=True)
    mesh = built.mesh.data
    mesh.attributes.remove(mesh.attributes["mien_joint_jaw"])
    errors = mien("contract.errors")
    with pytest.raises(errors.MienError) as lost:
        mien("rig.armature").update_joints(built.mesh)
    assert lost.value.code == errors.ErrorCode.BAD_HEAD


def test_a_still_is_keyed_on_the_current_frame(mien: Any, reference: Path) -> None:
    import bpy

    bpy.context.scene.frame_set(7)
    built = Built(mien, reference, "open")
    compat = mien("compat")
    action = built.rig.animation_data.action
    assert action.name == "Alice photo" == built.captured.heads[0].action
    keys = built.mesh.data.shape_keys
    assert (keys.animation_data.action == action) == compat.ONE_ACTION
    curves = compat.fcurves_of(built.rig) + compat.fcurves_of(keys)
    assert len(curves) == 5 * 3 + len(built.take.meta.channels) + 2
    assert {tuple(point.co)[0] for curve in curves for point in curve.keyframe_points} == {7.0}
