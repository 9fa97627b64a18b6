# SPDX-License-Identifier: GPL-3.0-or-later
"""Every format read back by Blender's own importer moves as the head in the scene does."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from make_head import moving_take, random_take, synthetic_head
from reimport import SUFFIXES, Reimported, farthest
from staging import Stage

METRES = {"fbx": 1e-4, "glb": 1e-4, "usd": 1e-4, "abc": 1e-5, "mdd": 1e-5}
FORMATS = list(METRES)


def export(mien: Any, name: str, meshes: Any, folder: Path, **options: Any) -> Path:
    """Write heads of the open scene."""
    import bpy

    path = folder / f"head{SUFFIXES[name]}"
    mien("exports.formats").export_heads(name, bpy.context.scene, meshes, path, **options)
    return path


def performed(meshes: Any, evaluated: Any, frames: Any) -> list[np.ndarray]:
    """Vertices of heads one after the other, on frames of the open scene."""
    import bpy

    found = []
    for frame in frames:
        bpy.context.scene.frame_set(int(np.floor(frame)), subframe=float(frame % 1))
        found.append(np.concatenate([evaluated(mesh) for mesh in meshes]))
    return found


def check(mien: Any, evaluated: Any, name: str, meshes: Any, folder: Path, frames: Any) -> Reimported:
    """Export, read back, compare on some frames; the error goes to the log."""
    import bpy

    scene = bpy.context.scene
    rate, first = scene.render.fps / scene.render.fps_base, frames[0]
    wanted = performed(meshes, evaluated, frames)
    path = export(mien, name, meshes, folder)
    back = Reimported(name, path, first, rate)
    found = []
    for frame in frames:
        back.show(frame)
        found.append(np.concatenate([evaluated(mesh) for mesh in back.meshes]))
    error = farthest(found, wanted)
    print(f"{name}, Blender {bpy.app.version_string}: {error * 1000:.6f} mm")
    assert error < METRES[name]
    return back


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("follow", [False, True], ids=["joints at rest", "joints follow"])
def test_a_performance_survives(mien: Any, evaluated: Any, tmp_path: Path, name: str, follow: bool) -> None:
    head = synthetic_head(2, follow=follow)
    stage = Stage(mien, head, moving_take(head, 24, cut=15), tmp_path, start=1001)
    back = check(mien, evaluated, name, [stage.mesh], tmp_path, [1001, 1008, 1015, 1016, 1019, 1024])
    (mesh,) = back.meshes
    assert len(mesh.data.uv_layers) == 1
    assert len(mesh.data.materials) == (0 if name == "mdd" else 2) or name == "mdd"
    if name in ("fbx", "glb", "usd"):
        keys = [key.name.replace(" ", "_") for key in mesh.data.shape_keys.key_blocks]
        expected = [*head.expression_names, "eyeBlinkLeft", "eyeBlinkRight", "Corrective_jaw_01"]
        assert set(expected) <= set(keys)
        assert {"Corrective_jaw_01_minus"} <= set(keys)


@pytest.mark.parametrize("name", FORMATS)
def test_the_open_head_survives(mien: Any, evaluated: Any, reference: Path, tmp_path: Path, name: str) -> None:
    head, take = _loaded(mien, reference, "performance")
    stage = Stage(mien, head, take, tmp_path)
    first, last = stage.action.frame_range
    back = check(mien, evaluated, name, [stage.mesh], tmp_path, [int(first), int(first) + 9, int(last)])
    (mesh,) = back.meshes
    wanted = np.sort(head.uv[head.polygon_uvs[head.polygon_uvs >= 0]], axis=0)[::501]
    uvs = np.empty((len(mesh.data.loops), 2), np.float32)
    mesh.data.uv_layers.active.uv.foreach_get("vector", uvs.ravel())
    if len(uvs) == len(head.polygon_uvs[head.polygon_uvs >= 0]):
        np.testing.assert_allclose(np.sort(uvs, axis=0)[::501], wanted, atol=1e-6)
    else:  # triangles
        assert uvs.min() == pytest.approx(head.uv.min(), abs=1e-5) and uvs.max() == pytest.approx(
            head.uv.max(), abs=1e-5
        )


def _loaded(mien: Any, folder: Path, name: str) -> tuple[Any, Any]:
    head = mien("contract.head").HeadDescription.load(folder / f"{name}.head.npz")
    return head, mien("contract.take").Take.load(folder / f"{name}.take.npz")


@pytest.mark.parametrize("name", FORMATS)
def test_heads_that_are_not_plain(mien: Any, evaluated: Any, tmp_path: Path, name: str) -> None:
    """Identity keys, quaternion bones, strips, curves edited by hand, hidden, moved, another rate, before frame 0."""
    import bpy

    bpy.context.scene.render.fps, bpy.context.scene.render.fps_base = 24, 1.001
    head = synthetic_head(3, follow=True)
    take = moving_take(head, 20, rate=24 / 1.001)
    build = {"identity_keys": True, "rotation_mode": "QUATERNION"}
    stage = Stage(mien, head, take, tmp_path, start=-5, build=build)
    stage.curve('key_blocks["mouthClose"].value').keyframe_points[7].co[1] = 1.9
    stage.curve('pose.bones["jaw"].rotation_quaternion', 1).keyframe_points[9].co[1] = 0.3
    stage.rig.location, stage.rig.rotation_euler, stage.rig.scale = (0.3, -0.2, 1.1), (0.2, 0.1, 0.5), (1.2,) * 3
    mien("animation.nla").push_to_nla(stage.mesh)
    bpy.context.scene.frame_set(3)
    frames = [-5, 2, 4, 9, 14]
    wanted = performed([stage.mesh], evaluated, frames)
    stage.mesh.hide_set(True)
    stage.mesh.hide_viewport = stage.rig.hide_viewport = True
    path = export(mien, name, [stage.mesh], tmp_path)
    back = Reimported(name, path, -5, 24 / 1.001)
    found = []
    for frame in frames:
        back.show(frame if name in ("glb", "mdd") else frame + 5)  # others tell frames, which begin at 0 then
        found.append(evaluated(back.meshes[0]))
    error = farthest(found, wanted)
    print(f"{name}: {error * 1000:.6f} mm")
    assert error < METRES[name]


@pytest.mark.parametrize("name", FORMATS)
def test_several_heads_and_their_camera(mien: Any, evaluated: Any, tmp_path: Path, name: str) -> None:
    import bpy

    head = synthetic_head(1)
    first = Stage(mien, head, moving_take(head, 10), tmp_path, start=1)
    takes = [replace(first.take, identity=first.take.identity * 0.5)]
    scene = mien("scene")
    other = scene.add_captures(first.head, takes, None, bpy.context.scene, scene.SceneOptions(start=1, name="Bea"))
    second = bpy.data.objects[other.heads[0].head.mesh]
    bpy.data.objects[other.heads[0].head.rig].location.x += 0.4
    seen, lens = np.array(bpy.context.scene.camera.matrix_world), bpy.context.scene.camera.data.lens
    meshes = sorted((first.mesh, second), key=lambda item: item.name)
    back = check(mien, evaluated, name, meshes, tmp_path, [1, 6, 10])
    assert len(back.meshes) == (1 if name == "mdd" else 2)
    if name != "mdd":
        (camera,) = back.cameras
        bpy.context.view_layer.update()
        np.testing.assert_allclose(np.array(camera.matrix_world)[:3, 3], seen[:3, 3], atol=1e-5)
        turned = np.array(camera.matrix_world)[:3, :3]
        np.testing.assert_allclose(turned / np.linalg.norm(turned, axis=0), seen[:3, :3], atol=1e-5)
        assert _half_height(camera.data) == pytest.approx(18 / lens * 480 / 640, rel=1e-3)


def _half_height(camera: Any) -> float:
    """Half of the height, 4:3, that a camera sees in a distance of 1."""
    if camera.sensor_fit == "VERTICAL":
        return float(camera.sensor_height / 2 / camera.lens)
    return float(camera.sensor_width / 2 / camera.lens * 480 / 640)


@pytest.mark.parametrize("name", FORMATS)
def test_a_still(mien: Any, evaluated: Any, tmp_path: Path, name: str) -> None:
    head = synthetic_head(1)
    stage = Stage(mien, head, random_take(head, 4), tmp_path, start=12)
    check(mien, evaluated, name, [stage.mesh], tmp_path, [12])


@pytest.mark.parametrize("name", ["fbx", "glb", "usd"])
def test_what_the_head_is_goes_along(mien: Any, tmp_path: Path, name: str) -> None:
    head = synthetic_head(1)
    stage = Stage(mien, head, moving_take(head, 5), tmp_path, start=1, take_files=(str(tmp_path / "take.npz"),))
    meta = stage.take.meta
    path = export(mien, name, [stage.mesh], tmp_path)
    back = Reimported(name, path, 1, 24.0)
    import bpy

    texts = [item.get("mien_provenance") for item in bpy.data.objects]
    table = json.loads(next(text for text in texts if text))
    assert table == {**mien("contract.provenance").provenance(meta)}
    assert back.meshes


@pytest.mark.parametrize("name", ["abc", "mdd"])
def test_what_the_head_is_stands_beside(mien: Any, tmp_path: Path, name: str) -> None:
    head = synthetic_head(1)
    stage = Stage(mien, head, moving_take(head, 5), tmp_path, start=1, take_files=(str(tmp_path / "take.npz"),))
    path = export(mien, name, [stage.mesh], tmp_path)
    table = json.loads(path.with_name(f"{path.name}.json").read_text())
    assert table["heads"] == {stage.mesh.name: mien("contract.provenance").provenance(stage.take.meta)}
    assert (table["first_frame"], table["last_frame"], table["frames_per_second"]) == (1, 5, 24.0)


@pytest.mark.parametrize("name", FORMATS)
def test_ten_thousand_frames_keep_their_time(mien: Any, evaluated: Any, tmp_path: Path, name: str) -> None:
    """At 24000/1001 frames a second the last frame is found where its time says."""
    import bpy

    bpy.context.scene.render.fps, bpy.context.scene.render.fps_base = 24, 1.001
    head = synthetic_head(1, correctives=False)
    take = moving_take(head, 1000, rate=24 / 1.001)
    stage = Stage(mien, head, take, tmp_path, start=1)
    for owner in (stage.rig, stage.mesh.data.shape_keys):  # ten times as slow, up to the last frame, then a jerk
        for curve in mien("compat").fcurves_of(owner):
            points = np.empty(2 * len(curve.keyframe_points), np.float32)
            curve.keyframe_points.foreach_get("co", points)
            points[::2] = 1 + (points[::2] - 1) * 10
            points[-2] = 10_000
            points[-1] += 0.5
            curve.keyframe_points.foreach_set("co", points)
            curve.update()
    frames = [9985, 9991, 9996, 10_000]
    wanted = performed([stage.mesh], evaluated, frames)
    first = 9_000 if name in ("abc", "mdd") else 1  # vertices of all frames would be 200 MB
    path = export(mien, name, [stage.mesh], tmp_path, frames=(first, 10_000))
    back = Reimported(name, path, first, 24 / 1.001)
    found = []
    for frame in frames:
        back.show(frame)
        found.append(evaluated(back.meshes[0]))
    moved = np.linalg.norm(wanted[-1] - wanted[-2], axis=1).max() / 4  # in one frame
    error = farthest(found, wanted)
    print(f"{name}: {error / moved:.4f} frames")
    assert error < 0.5 * moved


def test_blenders_newer_reader_of_fbx_agrees(mien: Any, evaluated: Any, tmp_path: Path) -> None:
    """A second opinion, by another library, of lengths, axes, shapes and times."""
    import bpy

    if bpy.app.version < (4, 5, 0):
        pytest.skip("this Blender has one reader of FBX only")
    head = synthetic_head(2, follow=True)
    stage = Stage(mien, head, moving_take(head, 24), tmp_path, start=1)
    frames = [1, 9, 17, 24]
    wanted = performed([stage.mesh], evaluated, frames)
    path = export(mien, "fbx", [stage.mesh], tmp_path)
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    bpy.ops.wm.fbx_import(filepath=str(path))
    mesh = next(item for item in bpy.data.objects if item.type == "MESH")
    error = min(
        farthest(performed([mesh], evaluated, [frame + shift for frame in frames]), wanted) for shift in (-1, 0, 1)
    )
    print(f"fbx, the newer reader: {error * 1000:.6f} mm")
    assert error < METRES["fbx"]
