# SPDX-License-Identifier: GPL-3.0-or-later
"""How a head's wrinkles are shown, as properties of the head; what is kept is kept in its modifiers and materials."""

from __future__ import annotations

from typing import Any

import bpy
from bpy.props import BoolProperty, EnumProperty, IntProperty, PointerProperty

from ..detail import modifiers
from ..detail.wrinkles import has_wrinkles, show_as, show_in_viewport, shown_as, shown_in_viewport

KINDS = [
    ("MODIFIER", "Modifier", "True shape: the subdivided skin is lifted, outlines too"),
    ("MATERIAL", "Material", "The materials displace, and shade as bumps what the mesh cannot show"),
    ("OFF", "Off", "No wrinkles"),
]
_NAMES = [kind[0] for kind in KINDS]


def _kind(detail: Any) -> int:
    return _NAMES.index(shown_as(detail.id_data)) if has_wrinkles(detail.id_data) else _NAMES.index("OFF")


def _set_kind(detail: Any, value: int) -> None:
    if has_wrinkles(detail.id_data):
        show_as(detail.id_data, _NAMES[value])


def _viewport(detail: Any) -> bool:
    return has_wrinkles(detail.id_data) and shown_in_viewport(detail.id_data)


def _set_viewport(detail: Any, value: bool) -> None:
    if has_wrinkles(detail.id_data):
        show_in_viewport(detail.id_data, value)


def _levels(detail: Any) -> tuple[int, int]:
    return modifiers.levels(detail.id_data) if has_wrinkles(detail.id_data) else (1, 1)


def _set_levels(detail: Any, **values: int) -> None:
    if has_wrinkles(detail.id_data):
        modifiers.set_levels(detail.id_data, **values)


# Blender runs annotations where a lambda would not see this module.
def _render_levels(detail: Any) -> int:
    return _levels(detail)[0]


def _set_render_levels(detail: Any, value: int) -> None:
    _set_levels(detail, render=value)


def _viewport_levels(detail: Any) -> int:
    return _levels(detail)[1]


def _set_viewport_levels(detail: Any, value: int) -> None:
    _set_levels(detail, viewport=value)


class MienDetail(bpy.types.PropertyGroup):
    """How a head's wrinkles are shown."""

    kind: EnumProperty(name="Wrinkles", description="What shows the wrinkles", items=KINDS, get=_kind, set=_set_kind)
    viewport: BoolProperty(
        name="Show in Viewport",
        description="Subdivide and lift the skin in the viewport too, which makes playback slower",
        get=_viewport,
        set=_set_viewport,
    )
    render_levels: IntProperty(
        name="Render Levels",
        description="How often the skin is subdivided in renders; 2 is as fine as the maps",
        min=1,
        max=modifiers.MOST_LEVELS,
        get=_render_levels,
        set=_set_render_levels,
    )
    viewport_levels: IntProperty(
        name="Viewport Levels",
        description="How often the skin is subdivided in the viewport while wrinkles show there",
        min=1,
        max=modifiers.MOST_LEVELS,
        get=_viewport_levels,
        set=_set_viewport_levels,
    )


def add_to_objects() -> None:
    """Give objects the properties."""
    bpy.types.Object.mien_detail = PointerProperty(type=MienDetail)


def remove_from_objects() -> None:
    """Undo `add_to_objects`."""
    del bpy.types.Object.mien_detail
