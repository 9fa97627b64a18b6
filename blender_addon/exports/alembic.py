# SPDX-License-Identifier: GPL-3.0-or-later
"""Alembic: vertices as they are on each frame, in the world, metres, Y up, with UVs and vertex colours."""

from __future__ import annotations

from pathlib import Path

from .operators import operator, require_room, run
from .stage import Stage

_POINT_BYTES, _CORNER_BYTES = 12, 12  # of float32 vertices and normals on each frame
_ONCE_BYTES = 64  # of faces and UVs, for each corner


def write(stage: Stage, path: Path) -> None:
    """Write what is on the stage."""
    for head in stage.copies.heads:
        head.rig.select_set(False)  # the vertices carry all of its motion
    require_room(path, _most_bytes(stage))  # the library that writes ends Blender where the disk is full
    run(
        operator("wm", "alembic_export"),
        path,
        check_existing=False,
        start=stage.copies.scene.frame_start,
        end=stage.copies.scene.frame_end,
        selected=True,
        flatten=True,
        uvs=True,
        packuv=False,
        normals=True,
        vcolors=True,
        face_sets=True,
        apply_subdiv=False,
        export_hair=False,
        export_particles=False,
        export_custom_properties=True,
        as_background_job=False,
        evaluation_mode="VIEWPORT",
    )


def _most_bytes(stage: Stage) -> int:
    """How large the file can get."""
    meshes = [head.mesh.data for head in stage.copies.heads]
    points, corners = sum(len(mesh.vertices) for mesh in meshes), sum(len(mesh.loops) for mesh in meshes)
    moving = len(stage.motion.frames) * (points * _POINT_BYTES + corners * _CORNER_BYTES)
    return moving + moving // 10 + corners * _ONCE_BYTES + (1 << 20)
