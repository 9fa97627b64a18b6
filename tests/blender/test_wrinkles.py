# SPDX-License-Identifier: GPL-3.0-or-later
"""Wrinkles in Blender: the displaced mesh against the backend's dense one, sequences, strength, materials, moves."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

MEAN_MM = 0.05


@pytest.fixture(scope="module")
def wrinkles(run_backend: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that make_wrinkles.py fills."""
    folder = tmp_path_factory.mktemp("wrinkles")
    run_backend(Path(__file__).with_name("make_wrinkles.py"), folder)
    return folder


def build(mien: Any, folder: Path, name: str, head: str = "head") -> tuple[Any, Any]:
    """The head with a take: its mesh object, and what was said."""
    import bpy

    scene = mien("scene")
    description = mien("contract.head").HeadDescription.load(folder / f"{head}.npz")
    file = folder / f"{name}.take.npz"
    take = mien("contract.take").Take.load(file)
    options = scene.SceneOptions(take_files=(str(file),), start=10)
    captured = scene.add_captures(description, [take], None, bpy.context.scene, options)
    return bpy.data.objects[captured.heads[0].head.mesh], captured


def evaluated_triangles(mesh_object: Any) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (V, 3) and triangles (F, 3) as Blender evaluates them."""
    import bpy

    bpy.context.view_layer.update()
    item = mesh_object.evaluated_get(bpy.context.evaluated_depsgraph_get())
    mesh = item.to_mesh()
    mesh.calc_loop_triangles()
    points = np.empty(3 * len(mesh.vertices), np.float32)
    mesh.vertices.foreach_get("co", points)
    triangles = np.empty(3 * len(mesh.loop_triangles), np.int32)
    mesh.loop_triangles.foreach_get("vertices", triangles)
    item.to_mesh_clear()
    return points.reshape(-1, 3).astype(np.float64), triangles.reshape(-1, 3)


@pytest.mark.parametrize("name", ["smooth", "decoder"])
def test_the_displaced_mesh_is_the_backends_dense_mesh(
    mien: Any, wrinkles: Path, record_property: Any, capsys: Any, name: str
) -> None:
    import bpy
    from mathutils.bvhtree import BVHTree

    mesh_object, captured = build(mien, wrinkles, name)
    assert captured.warnings == ()
    dense = mien("axes").to_blender(np.load(wrinkles / f"{name}.dense.npy").astype(np.float64))[::4]

    def off() -> float:
        tree = BVHTree.FromPolygons(*(array.tolist() for array in evaluated_triangles(mesh_object)), all_triangles=True)
        return 1000 * float(np.mean([tree.find_nearest(point)[3] for point in dense.tolist()]))

    bare = off()
    mien("detail.wrinkles").show_in_viewport(mesh_object, True)
    with_wrinkles = off()
    record_property("millimetres", with_wrinkles)
    with capsys.disabled():
        print(f"\n{bpy.app.version_string} {name}: {with_wrinkles:.4f} mm from the dense mesh; {bare:.3f} mm without")
    assert with_wrinkles < MEAN_MM
    assert bare > 4 * with_wrinkles


def height(mesh_object: Any) -> float:
    """Mean way, in millimetres, of the vertices of the present frame along their normals by the wrinkles."""
    lift = mesh_object.modifiers["Wrinkles"]
    lifted, _ = evaluated_triangles(mesh_object)
    lift.show_viewport = False
    flat, triangles = evaluated_triangles(mesh_object)
    lift.show_viewport = True
    a, b, c = flat[triangles].transpose(1, 0, 2)
    normal = np.zeros_like(flat)
    for corner in triangles.T:
        np.add.at(normal, corner, np.cross(b - a, c - a))
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    return 1000 * float(np.median(((lifted - flat) * normal).sum(axis=1)))


def test_each_frame_of_a_clip_has_its_map_and_its_neighbours_hold(mien: Any, wrinkles: Path, tmp_path: Path) -> None:
    import bpy

    folder = tmp_path / "takes"
    shutil.copytree(wrinkles, folder)
    bpy.context.scene.render.fps = 30
    mesh_object, captured = build(mien, folder, "clip")
    assert captured.warnings == ()
    mien("detail.wrinkles").show_in_viewport(mesh_object, True)
    scene = bpy.context.scene
    found = {}
    for frame in (10, 12, 13, 14, 30, 9, 1, 12):
        scene.frame_set(frame)
        found[frame] = height(mesh_object)
    wanted = {10: 1, 12: 1, 13: -2, 14: -2, 30: -2, 9: 1, 1: 1}
    assert found == pytest.approx(wanted, abs=0.01)
    mesh_object["Wrinkles"] = 0.5
    scene.frame_set(14)
    assert height(mesh_object) == pytest.approx(-1, abs=0.01)
    assert mesh_object.keyframe_insert('["Wrinkles"]', frame=14)


def test_maps_of_a_clip_go_beside_a_saved_file_and_move_with_it(mien: Any, wrinkles: Path, tmp_path: Path) -> None:
    import bpy

    folder, project = tmp_path / "takes", tmp_path / "project"
    shutil.copytree(wrinkles, folder)
    project.mkdir()
    bpy.ops.wm.save_as_mainfile(filepath=str(project / "shot.blend"))
    mesh_object, _ = build(mien, folder, "clip")
    mien("detail.wrinkles").show_in_viewport(mesh_object, True)
    name = mesh_object.name
    assert mesh_object.modifiers["Wrinkles"].texture.image.filepath == f"//{name} displacement/0001.exr".replace(
        "/0001", bpy.path.native_pathsep("/") + "0001"
    )
    bpy.ops.wm.save_mainfile()
    shutil.rmtree(folder)
    project.rename(tmp_path / "elsewhere")
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "elsewhere" / "shot.blend"))
    bpy.context.scene.frame_set(13)
    assert height(bpy.data.objects[name]) == pytest.approx(-2, abs=0.01)


def test_a_still_has_its_map_inside(mien: Any, wrinkles: Path) -> None:
    mesh_object, _ = build(mien, wrinkles, "smooth")
    assert mesh_object.modifiers["Wrinkles"].texture.image.packed_file
    shown = {item.name: (item.show_viewport, item.show_render) for item in mesh_object.modifiers}
    for name in ("Wrinkles Base", "Subdivision", "Wrinkles"):
        assert shown[name] == (False, True)
    order = [item.name for item in mesh_object.modifiers]
    assert order == ["Armature", "Wrinkles Base", "Subdivision", "Wrinkles"]


def test_a_head_without_uvs_says_what_it_lacks(mien: Any, wrinkles: Path) -> None:
    mesh_object, captured = build(mien, wrinkles, "smooth", "bare")
    (warning,) = captured.warnings
    assert "UV layout" in warning and "head_template.obj" in warning
    assert not mien("detail.wrinkles").has_wrinkles(mesh_object)


def test_maps_that_are_gone_are_said_and_the_head_performs(mien: Any, wrinkles: Path, tmp_path: Path) -> None:
    for name in ("head.npz", "clip.take.npz"):
        shutil.copy(wrinkles / name, tmp_path / name)
    mesh_object, captured = build(mien, tmp_path, "clip")
    (warning,) = captured.warnings
    assert "0001.exr is missing" in warning
    assert captured.heads[0].action


def test_another_take_brings_its_own_wrinkles_or_none(mien: Any, wrinkles: Path) -> None:
    import bpy

    module, apply = mien("detail.wrinkles"), mien("animation.apply")
    mesh_object, _ = build(mien, wrinkles, "smooth")
    module.show_as(mesh_object, "MATERIAL")
    take = mien("contract.take").Take.load(wrinkles / "decoder.take.npz")
    options = apply.ApplyOptions(take_file=str(wrinkles / "decoder.take.npz"))
    apply.apply_take(mesh_object, take, bpy.context.scene, options)
    assert module.shown_as(mesh_object) == "MATERIAL"
    assert (len(bpy.data.textures), len(bpy.data.node_groups)) == (1, 1)
    from dataclasses import replace

    plain = replace(take, meta=replace(take.meta, displacement=()))
    apply.apply_take(mesh_object, plain, bpy.context.scene)
    assert not module.has_wrinkles(mesh_object)
    assert not bpy.data.textures and not bpy.data.node_groups
    own = mesh_object.modifiers["Subdivision"]
    assert (own.levels, own.render_levels, own.show_viewport, own.show_render) == (0, 1, False, True)


def test_materials_displace_instead_of_the_modifier(mien: Any, wrinkles: Path) -> None:
    module = mien("detail.wrinkles")
    mesh_object, _ = build(mien, wrinkles, "smooth")
    module.show_as(mesh_object, "MATERIAL")
    assert not mesh_object.modifiers["Wrinkles"].show_render
    for item in mesh_object.data.materials:
        out = item.node_tree.get_output_node("ALL")
        assert out.inputs["Displacement"].links[0].from_node.name == "Wrinkles"
        assert item.displacement_method == "BOTH"
    module.show_as(mesh_object, "OFF")
    assert module.shown_as(mesh_object) == "OFF"
    assert not any("Wrinkles" in item.node_tree.nodes for item in mesh_object.data.materials)
    module.show_as(mesh_object, "MODIFIER")
    assert mesh_object.modifiers["Wrinkles"].show_render
