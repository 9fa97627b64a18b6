# SPDX-License-Identifier: GPL-3.0-or-later
"""Drivers that set the pose correctives from the bones, whatever moves the bones.

FLAME's pose feature is R - I of each joint's local rotation (Li et al. 2017, eq. 4). A driver sees a bone's local
quaternion and needs one entry of it. The expressions are of the kind that Blender evaluates itself, so they work where
running Python from files is forbidden.
"""

from __future__ import annotations

from typing import Any

from .. import axes
from ..contract.head import HeadDescription
from . import names
from .shape_keys import corrective_features

_ROTATION_LESS_IDENTITY = (
    ("-2*(y*y+z*z)", "2*(x*y-w*z)", "2*(x*z+w*y)"),
    ("2*(x*y+w*z)", "-2*(x*x+z*z)", "2*(y*z-w*x)"),
    ("2*(x*z-w*y)", "2*(y*z+w*x)", "-2*(x*x+y*y)"),
)
"""Entries of R - I of a unit quaternion."""


def driver_expression(joint: str, row: int, column: int) -> str:
    """Expression in w, x, y, z (the bone's local quaternion) of an entry of R - I in head axes."""
    sign, bone_row, bone_column = axes.bone_entry(joint, row, column)
    expression = _ROTATION_LESS_IDENTITY[bone_row][bone_column]
    return expression if sign > 0 else f"-({expression})"


def add_drivers(mesh_object: Any, rig: Any, head: HeadDescription) -> None:
    """Drive the corrective keys of a head's mesh from the bones of its rig."""
    key_blocks = mesh_object.data.shape_keys.key_blocks
    for joint, row, column in corrective_features(head).values():
        driver = key_blocks[names.corrective_key(joint, row, column)].driver_add("value").driver
        driver.type = "SCRIPTED"
        expression = driver_expression(joint, row, column)
        for letter in "wxyz":
            if letter in expression:
                _add_variable(driver, rig, joint, letter)
        driver.expression = expression


def _add_variable(driver: Any, rig: Any, joint: str, letter: str) -> None:
    variable = driver.variables.new()
    variable.name = letter
    variable.type = "TRANSFORMS"
    target = variable.targets[0]
    target.id = rig
    target.bone_target = joint
    target.transform_type = f"ROT_{letter.upper()}"
    target.rotation_mode = "QUATERNION"
    target.transform_space = "LOCAL_SPACE"
