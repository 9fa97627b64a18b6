# SPDX-License-Identifier: GPL-3.0-or-later
"""The section "Send to Character": the character, what each channel does on it, and the buttons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import bpy

from ..character.matching import Found, State, missing
from ..character.sources import MOTIONS, label
from ..contract.vrm import RULES
from .character_state import chosen_item, fill_later, last_shown, shown, smoothed_since
from .panel_base import MienPanel, draw_lines, line_width

_ICONS = {
    State.DRIVES: "CHECKMARK",
    State.COVERED: "LINKED",
    State.OFF: "CHECKBOX_DEHLT",
    State.MISSING: "ERROR",
}
_NAME_SHARE = 0.66
_NOTHING = Found(State.MISSING)


class MIEN_UL_channels(bpy.types.UIList):
    """Channels of a character"""

    def draw_item(
        self, context: Any, layout: Any, data: Any, item: Any, icon: int, active_data: Any, active_property: str
    ) -> None:
        """Draw one channel: its state, its name, its target or why it has none."""
        found = last_shown().found.get(item.name, _NOTHING)
        row = layout.split(factor=_NAME_SHARE, align=True)
        row.active = found.state in (State.DRIVES, State.COVERED)
        row.label(text=label(item.name), icon=_ICONS[found.state])
        row.label(text=found.text)

    def filter_items(self, context: Any, data: Any, name: str) -> tuple[list[int], list[int]]:
        """Leave out VRM's expressions on characters that have none of them."""
        rows, found = getattr(data, name), last_shown().found
        vrm = any(found.get(source, _NOTHING).named for source in RULES)
        words = self.filter_name.lower()
        flags = [
            self.bitflag_filter_item if (vrm or row.name not in RULES) and words in label(row.name).lower() else 0
            for row in rows
        ]
        return flags, []


class MIEN_PT_character(MienPanel, bpy.types.Panel):
    """Takes on characters of other makers"""

    bl_label = "Send to Character"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: Any) -> None:
        """Draw the character, its channels and the buttons."""
        layout, settings = self.layout, context.scene.mien.character
        state, width = shown(context), line_width(context)
        layout.prop(settings, "target", text="", placeholder="Active Object")
        item = chosen_item(context.scene, context.view_layer)
        if settings.target is None and item is not None and state.problem is None:
            layout.label(text=f"Active: {item.name}", icon="OBJECT_DATA")
        column = layout.column()
        column.use_property_split, column.use_property_decorate = True, False
        column.prop(settings, "profile")
        row = layout.row(align=True)
        row.operator("mien.load_profile", icon="FILEBROWSER")
        row.operator("mien.save_profile", icon="FILE_TICK")
        if state.problem is not None:
            draw_lines(layout, str(state.problem), width, "ERROR")
        if settings.rows:
            if state.found:
                layout.label(text=_summary(state.found))
            layout.template_list("MIEN_UL_channels", "", settings, "rows", settings, "active_row", rows=6)
            _draw_channel(layout, settings, state.found, width)
        else:
            fill_later(context.scene)
        if smoothed_since(context):
            layout.label(text="Smoothed since: send again", icon="INFO")
        column = layout.column(align=True)
        column.operator("mien.send_take", icon="EXPORT")
        row = column.row(align=True)
        row.operator("mien.follow_live", icon="PLAY", depress=settings.live)
        row.operator("mien.clear_character", icon="X")


def _draw_channel(layout: Any, settings: Any, found: Mapping[str, Found], width: int) -> None:
    """The chosen channel."""
    if not 0 <= settings.active_row < len(settings.rows):
        return
    item = settings.rows[settings.active_row]
    answer = found.get(item.name)
    box = layout.box()
    if answer is not None:
        drives = answer.state is State.DRIVES
        draw_lines(box, f"{label(item.name)}: {answer.text}", width, "NONE" if drives else "INFO")
        if answer.note:
            draw_lines(box, answer.note, width)
    column = box.column(align=True)
    column.row(align=True).prop(item, "use", expand=True)
    icon = "BONE_DATA" if item.name in MOTIONS else "SHAPEKEY_DATA"
    column.prop(item, "target", text="", icon=icon, placeholder="Target")
    column.prop(item, "gain")
    if item.name in MOTIONS:  # a motion has a gain, but no offset and no curve
        return
    column.prop(item, "offset")
    if not item.points:
        column.prop(item, "exponent")
    column.prop(item, "points", text="", icon="FCURVE", placeholder="Curve Points")


def _summary(found: Mapping[str, Found]) -> str:
    drives = sum(answer.state is State.DRIVES for answer in found.values())
    lacking = len(missing(found))
    return f"{drives} drive, {lacking} missing" if lacking else f"{drives} drive, none missing"


class MIEN_PT_character_options(MienPanel, bpy.types.Panel):
    """How takes are put on the character"""

    bl_label = "Character Options"
    bl_parent_id = "MIEN_PT_character"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: Any) -> None:
        """Draw the options of the profile."""
        column, settings = self.layout.column(), context.scene.mien.character
        column.use_property_split, column.use_property_decorate = True, False
        column.prop(settings, "name", text="Name")
        column.prop(settings, "facing")
        column.prop(settings, "place")
        column.prop(settings, "widen")
        column.prop(settings, "only")


CLASSES = (MIEN_UL_channels, MIEN_PT_character, MIEN_PT_character_options)
