# SPDX-License-Identifier: GPL-3.0-or-later
"""USD: metres, Y up, a skeleton and blend shapes (UsdSkel), a sample on each frame, time codes are frames."""

from __future__ import annotations

from pathlib import Path

from .operators import operator, run
from .stage import Stage


def write(_stage: Stage, path: Path) -> None:
    """Write what is on the stage."""
    run(
        operator("wm", "usd_export"),
        path,
        check_existing=False,
        selected_objects_only=True,
        export_animation=True,
        export_armatures=True,
        only_deform_bones=False,
        export_shapekeys=True,
        export_uvmaps=True,
        export_mesh_colors=True,
        export_normals=True,
        export_materials=True,
        export_subdivision="IGNORE",
        export_custom_properties=True,
        custom_properties_namespace="",
        evaluation_mode="VIEWPORT",
        convert_orientation=True,
        export_global_forward_selection="NEGATIVE_Z",
        export_global_up_selection="Y",
        convert_world_material=False,
        export_lights=False,
    )
