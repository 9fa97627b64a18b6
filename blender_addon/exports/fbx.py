# SPDX-License-Identifier: GPL-3.0-or-later
"""FBX: centimetres, Y up, bones and blend shapes of 0 to 100 %, a key on each frame.

Lengths are centimetres in the file itself, so that no object is scaled; importers that ignore units get the right size.
"""

from __future__ import annotations

from pathlib import Path

from .operators import enabled, operator, run
from .stage import Stage


def write(_stage: Stage, path: Path) -> None:
    """Write what is on the stage."""
    with enabled("io_scene_fbx"):
        run(
            operator("export_scene", "fbx"),
            path,
            check_existing=False,
            use_selection=True,
            object_types={"ARMATURE", "MESH", "CAMERA"},
            use_mesh_modifiers=False,
            mesh_smooth_type="OFF",
            colors_type="SRGB",
            use_custom_props=True,
            add_leaf_bones=False,
            bake_anim=True,
            bake_anim_use_all_bones=True,
            bake_anim_use_nla_strips=False,
            bake_anim_use_all_actions=False,
            bake_anim_simplify_factor=0.0,
            axis_forward="-Z",
            axis_up="Y",
        )
