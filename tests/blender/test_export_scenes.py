# SPDX-License-Identifier: GPL-3.0-or-later
"""Heads are exported as they are seen in scenes of all kinds: names, units, constraints, times between frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from make_head import moving_take, synthetic_head
from reimport import SUFFIXES, Reimported, farthest
from staging import Stage
from test_export_formats import FORMATS, METRES, performed


def survive(mien: Any, evaluated: Any, name: str, meshes: list[Any], folder: Path, frames: list[int]) -> Reimported:
    """Export, read back, compare on some frames of which the first is the export's first one."""
    import bpy

    scene = bpy.context.scene
    rate = scene.render.fps / scene.render.fps_base
    wanted = performed(meshes, evaluated, frames)
    path = folder / f"head{SUFFIXES[name]}"
    mien("exports.formats").export_heads(name, scene, meshes, path)
    back = Reimported(name, path, frames[0], rate)
    found = []
    for frame in frames:
        back.show(frame)
        found.append(np.concatenate([evaluated(mesh) for mesh in back.meshes]))
    error = farthest(found, wanted)
    print(f"{name}, Blender {bpy.app.version_string}: {error * 1000:.6f} mm")
    assert error < METRES[name]
    return back


@pytest.mark.parametrize("title", ['Ann/a: «Ü» "x" .001', "阿丽丝 {0}%", "a\\b|c*?", "  . "])
@pytest.mark.parametrize("name", FORMATS)
def test_names_of_all_kinds(mien: Any, evaluated: Any, tmp_path: Path, name: str, title: str) -> None:
    head = synthetic_head(1)
    stage = Stage(mien, head, moving_take(head, 6), tmp_path, start=1)
    mesh, rig = stage.mesh, stage.rig
    for item in (mesh, mesh.data):
        item.name = title
    for item in (rig, rig.data):
        item.name = f"{title} Rig"
    mesh.data.shape_keys.key_blocks["mouthClose"].name = f"mouth/{title}"
    survive(mien, evaluated, name, [mesh], tmp_path, [1, 4, 6])


@pytest.mark.parametrize("name", FORMATS)
def test_units_of_the_scene_change_nothing(mien: Any, evaluated: Any, tmp_path: Path, name: str) -> None:
    import bpy

    head = synthetic_head(1)
    stage = Stage(mien, head, moving_take(head, 6), tmp_path, start=1)
    for system, scale in (("METRIC", 0.01), ("IMPERIAL", 1.0), ("NONE", 1.0)):
        bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
        folder = tmp_path / system
        folder.mkdir()
        stage = Stage(mien, head, moving_take(head, 6), folder, start=1)
        units = bpy.context.scene.unit_settings
        units.system, units.scale_length = system, scale
        survive(mien, evaluated, name, [stage.mesh], folder, [1, 4, 6])


@pytest.mark.parametrize("name", FORMATS)
def test_constraints_and_parents_outside(mien: Any, evaluated: Any, tmp_path: Path, name: str) -> None:
    """A rig on something that moves, a bone that looks at something, frames that begin late."""
    import bpy

    head = synthetic_head(1)
    stage = Stage(mien, head, moving_take(head, 12), tmp_path, start=101)
    carrier = bpy.data.objects.new("Carrier", None)
    aim = bpy.data.objects.new("Aim", None)
    for item in (carrier, aim):
        bpy.context.scene.collection.objects.link(item)
        for frame, place in ((101, (0, 0, 0)), (112, (0.4, -1.0, 0.3))):
            item.location = place
            item.keyframe_insert("location", frame=frame)
    stage.rig.constraints.new("COPY_LOCATION").target = carrier
    stage.rig.pose.bones["neck"].constraints.new("DAMPED_TRACK").target = aim
    survive(mien, evaluated, name, [stage.mesh], tmp_path, [101, 105, 112])


@pytest.mark.parametrize("name", FORMATS)
def test_keys_between_frames(mien: Any, evaluated: Any, tmp_path: Path, name: str) -> None:
    """A take whose time is kept in a scene of another rate."""
    import bpy

    bpy.context.scene.render.fps = 30
    head = synthetic_head(1)
    stage = Stage(mien, head, moving_take(head, 12, rate=24.0), tmp_path, start=5, timing="source")
    keys = [point.co[0] for point in stage.curve('key_blocks["mouthClose"].value').keyframe_points]
    assert any(frame % 1 for frame in keys)
    survive(mien, evaluated, name, [stage.mesh], tmp_path, [5, 6, 11, 18])


@pytest.mark.parametrize("name", FORMATS)
def test_keys_that_a_vertex_group_holds_back(mien: Any, evaluated: Any, tmp_path: Path, name: str) -> None:
    head = synthetic_head(1)
    stage = Stage(mien, head, moving_take(head, 6), tmp_path, start=1)
    group = stage.mesh.vertex_groups.new(name="Left Half")
    count = len(stage.mesh.data.vertices)
    for vertex in range(0, count, 2):
        group.add([vertex], 0.5 + 0.5 * vertex / count, "REPLACE")
    stage.mesh.data.shape_keys.key_blocks["mouthClose"].vertex_group = group.name
    survive(mien, evaluated, name, [stage.mesh], tmp_path, [1, 4, 6])
