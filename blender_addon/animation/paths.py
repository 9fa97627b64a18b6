# SPDX-License-Identifier: GPL-3.0-or-later
"""Data paths of shape keys and bones, and setting what they lead to."""

from __future__ import annotations

from typing import Any

from bpy.utils import escape_identifier


def key_path(name: str) -> str:
    """Data path of a shape key's value, from the shape keys' data-block."""
    return f'key_blocks["{escape_identifier(name)}"].value'


def bone_path(name: str) -> str:
    """Data path of a pose bone from the armature object, with a dot for its property."""
    return f'pose.bones["{escape_identifier(name)}"].'


def set_at(owner: Any, path: str, index: int, value: float) -> None:
    """Set a property, or one entry of a property with several.

    Args:
        owner: A data-block.
        path: From there to the property.
        index: Of the entry; of no account for single values.
        value: The value.
    """
    target_path, _, name = path.rpartition(".")
    target = owner.path_resolve(target_path)
    if isinstance(getattr(target, name), (float, int)):
        setattr(target, name, value)
    else:
        getattr(target, name)[index] = value
