# SPDX-License-Identifier: GPL-3.0-or-later
"""Alembic: vertices as they are on each frame, in the world, metres, Y up, with UVs and vertex colours."""

from __future__ import annotations

from pathlib import Path

from .operators import operator, run
from .stage import Stage


def write(stage: Stage, path: Path) -> None:
    """Write what is on the stage."""
    for head in stage.copies.heads:
        head.rig.select_set(False)  # the vertices carry all of its motion
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
