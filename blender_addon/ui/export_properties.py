# SPDX-License-Identifier: GPL-3.0-or-later
"""What the section "Export" remembers, in the scene."""

from __future__ import annotations

from typing import Any

import bpy
from bpy.props import EnumProperty

HEAD_FORMATS = [
    ("fbx", "FBX", "Mesh, bones and blend shapes in centimetres, for game engines and Maya", 1),
    ("glb", "glTF", "Mesh, bones and morph targets in one file, for engines and the web", 2),
    ("usd", "USD", "Mesh, skeleton and blend shapes, for pipelines on Universal Scene Description", 4),
    ("abc", "Alembic", "The vertices of each frame, for effects and compositing", 8),
    ("mdd", "MDD", "A point cache and the OBJ that it belongs to, for programs without Alembic", 16),
]

_take_items: list[tuple[str, str, str]] = []  # Blender keeps no reference to what an items callback returns


def _take_formats(_settings: Any, _context: Any) -> list[tuple[str, str, str]]:
    from .session import session  # not while the classes are made

    items = [(item.name, item.title, f"Files that end in {item.suffix}") for item in session().exports.formats]
    if items != _take_items:
        _take_items[:] = items
    return _take_items


class MienExportSettings(bpy.types.PropertyGroup):
    """Settings of the section "Export" in one scene."""

    formats: EnumProperty(
        name="Head Formats",
        description="What the active head is written to; several are written one after the other",
        items=HEAD_FORMATS,
        options={"ENUM_FLAG"},
        default={"fbx"},
    )
    take_format: EnumProperty(
        name="Take Format", description="What the chosen take is written to, by the backend", items=_take_formats
    )
