# SPDX-License-Identifier: GPL-3.0-or-later
"""MDD point cache: vertices on each frame, in the world, metres, Y up; the mesh that they belong to in an OBJ beside.

Blender's own writer was an add-on that newer versions lack. The layout: big-endian, frames and points as int32, the
time of each frame in seconds as float32, then x, y, z of each point of each frame as float32. Heads follow one another.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ..axes import to_head
from .obj import ObjMesh, write_obj
from .stage import Stage


def write(stage: Stage, path: Path) -> None:
    """Write what is on the stage, and `NAME.obj` beside."""
    meshes = [head.mesh for head in stage.copies.heads]
    frames = stage.motion.baked
    parts = [_obj_of(mesh) for mesh in meshes]
    header = np.array([len(frames), sum(len(part.vertices) for part in parts)], ">i4")
    times = (frames - frames[0]) / stage.subject.rate
    with open(path, "wb") as file:
        file.write(header.tobytes())
        file.write(times.astype(">f4").tobytes())
        for frame in frames.tolist():
            stage.copies.scene.frame_set(frame)
            for points in _placed(meshes):
                file.write(points.astype(">f4").tobytes())
    stage.copies.scene.frame_set(int(frames[0]))
    first = [ObjMesh(part.name, points, *part[2:]) for part, points in zip(parts, _placed(meshes), strict=True)]
    write_obj(path.with_suffix(".obj"), first)


def _placed(meshes: list[Any]) -> Iterator[np.ndarray]:
    """Vertices (V, 3) of each mesh in the world, y up."""
    graph = bpy.context.evaluated_depsgraph_get()
    for mesh in meshes:
        shown = mesh.evaluated_get(graph)
        points = np.empty(len(shown.data.vertices) * 3, np.float32)
        shown.data.vertices.foreach_get("co", points)
        world = np.array(shown.matrix_world, np.float64)
        yield to_head(points.reshape(-1, 3) @ world[:3, :3].T + world[:3, 3])


def _obj_of(item: Any) -> ObjMesh:
    mesh = item.data
    corners = np.empty(len(mesh.loops), np.int32)
    mesh.loops.foreach_get("vertex_index", corners)
    sizes = np.empty(len(mesh.polygons), np.int32)
    mesh.polygons.foreach_get("loop_total", sizes)
    uvs = np.zeros((len(mesh.loops), 2), np.float32)
    if mesh.uv_layers.active is not None:
        mesh.uv_layers.active.uv.foreach_get("vector", uvs.ravel())
    return ObjMesh(item.name, np.zeros((len(mesh.vertices), 3)), corners, sizes, uvs)
