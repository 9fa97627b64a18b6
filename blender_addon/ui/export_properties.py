# SPDX-License-Identifier: GPL-3.0-or-later
"""What the section "Export" remembers, in the scene."""

from __future__ import annotations

from typing import Any

import bpy
from bpy.props import BoolProperty, EnumProperty, StringProperty

HEAD_FORMATS = [
    ("fbx", "FBX", "Mesh, bones and blend shapes in centimetres, for game engines and Maya", 1),
    ("glb", "GLB", "Mesh, bones and morph targets in one glTF file, for engines and the web", 2),
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


def _get_format(settings: Any) -> int:
    """By its name, since the backend may tell of others than when it was chosen; the first one where it is not told."""
    names = [name for name, _, _ in _take_formats(settings, None)]
    return names.index(settings.take_format_name) if settings.take_format_name in names else 0


def _set_format(settings: Any, value: int) -> None:
    settings.take_format_name = _take_items[value][0]


def _switch(name: str) -> Any:
    """A switch of its own for each format: a click on one of a set of flags would switch the others off."""
    label, description = next((label, text) for key, label, text, _ in HEAD_FORMATS if key == name)
    return BoolProperty(name=label, description=description, default=name == "fbx")


class MienExportSettings(bpy.types.PropertyGroup):
    """Settings of the section "Export" in one scene."""

    fbx: _switch("fbx")
    glb: _switch("glb")
    usd: _switch("usd")
    abc: _switch("abc")
    mdd: _switch("mdd")
    take_format: EnumProperty(
        name="Take Format",
        description="What the chosen take is written to, by the backend",
        items=_take_formats,
        get=_get_format,
        set=_set_format,
    )
    take_format_name: StringProperty(
        name="Take Format Name", description="Name of the format that was chosen", options={"HIDDEN"}
    )


def chosen_formats(settings: Any) -> set[str]:
    """The formats that are switched on."""
    return {name for name, *_ in HEAD_FORMATS if getattr(settings, name)}
