# SPDX-License-Identifier: GPL-3.0-or-later
"""The section "Source": the file, its picture and facts, its people; references; live."""

from __future__ import annotations

from typing import Any

import bpy

from . import scene_source
from .facts import Facts, facts
from .kinds import Kind
from .panel_base import MienPanel, draw_lines, line_width
from .pictures import picture, thumbnail
from .running import Running
from .session import session

_MOST_PEOPLE = 8


class MIEN_MT_from_scene(bpy.types.Menu):
    """Clips that are in the scene already"""

    bl_label = "From Scene"

    def draw(self, context: Any) -> None:
        """Draw one entry for each clip."""
        entries = list(scene_source.names(context.scene))
        if not entries:
            self.layout.label(text="The scene has no clip")
        for kind, name, label in entries:
            button = self.layout.operator("mien.source_from_scene", text=label)
            button.kind, button.clip = kind, name


class MIEN_PT_source(MienPanel, bpy.types.Panel):
    """The photo or clip"""

    bl_label = "Source"

    def draw(self, context: Any) -> None:
        """Draw the file field, the thumbnail, the facts, the range and the people."""
        layout, settings = self.layout, context.scene.mien
        row = layout.row(align=True)
        row.prop(settings, "source", text="")
        row.operator("mien.choose_source", text="", icon="FILEBROWSER")
        row.menu("MIEN_MT_from_scene", text="", icon="SEQUENCE")
        if session().live:
            row.operator("mien.stop_live", text="", icon="CANCEL")
        else:
            row.operator("mien.start_live", text="", icon="OUTLINER_OB_CAMERA")
        if session().live:  # here, since the section Live may be closed
            _draw_live(layout, session().live)
        if not settings.source:
            layout.label(text="Or drop a photo or clip onto the viewport")
            return
        source = bpy.path.abspath(settings.source)
        found = facts(source)
        if icon := thumbnail(found):
            layout.template_icon(icon, scale=6.0)
        row = layout.row()
        row.alert = found.problem
        row.label(text=found.text, icon="ERROR" if found.problem else "NONE")
        if found.kind.moves:
            _draw_range(layout, settings, found)
        _draw_people(layout, settings, source)


def _draw_range(layout: Any, settings: Any, found: Facts) -> None:
    row = layout.row(align=True)
    row.prop(settings, "use_range")
    ends = row.row(align=True)
    ends.active = settings.use_range
    ends.prop(settings, "range_first", text="")
    ends.prop(settings, "range_last", text="")
    if found.kind is Kind.SEQUENCE:
        row = layout.row()
        row.use_property_split = True
        row.use_property_decorate = False
        row.prop(settings, "fps")


def _draw_people(layout: Any, settings: Any, source: str) -> None:
    people = session().people
    if people is None or people.source != source or people.count < 2:
        if settings.all_faces or settings.face > 1:  # chosen for another source, or in a file that was opened
            row = layout.row(align=True)
            number = row.row(align=True)
            number.active = not settings.all_faces
            number.prop(settings, "face")
            row.prop(settings, "all_faces", toggle=True)
        return
    text = f"{people.count} people" if any(people.frames) else f"{people.count} faces, largest first"
    layout.label(text=text, icon="COMMUNITY")
    if people.sheet:
        layout.template_icon(picture(people.sheet, "IMAGE"), scale=5.0)
    row = layout.row(align=True)
    for number in range(1, min(people.count, _MOST_PEOPLE) + 1):
        chosen = not settings.all_faces and settings.face == number
        row.operator("mien.choose_face", text=str(number), depress=chosen).face = number
    row.operator("mien.choose_face", text="All", depress=settings.all_faces).face = 0


class MIEN_UL_references(bpy.types.UIList):
    """References of a capture"""

    def draw_item(
        self, context: Any, layout: Any, data: Any, item: Any, icon: int, active_data: Any, active_property: str
    ) -> None:
        """Draw one file."""
        layout.prop(item, "path", text="", emboss=False)


class MIEN_PT_references(MienPanel, bpy.types.Panel):
    """More photos and clips of the same person"""

    bl_label = "References"
    bl_parent_id = "MIEN_PT_source"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: Any) -> None:
        """Draw the list."""
        layout, settings = self.layout, context.scene.mien
        if not settings.references:
            draw_lines(layout, "More photos or clips of the same person make the head more like them",
                       line_width(context))  # fmt: skip
        row = layout.row()
        row.template_list("MIEN_UL_references", "", settings, "references", settings, "active_reference", rows=2)
        column = row.column(align=True)
        column.operator("mien.add_reference", text="", icon="ADD")
        column.operator("mien.remove_reference", text="", icon="REMOVE")


def _draw_live(layout: Any, capture: Running) -> None:
    """What a live capture does, and its buttons."""
    layout.label(text=capture.live_text(session().phrase))
    column = layout.column(align=True)
    row = column.row(align=True)
    row.operator("mien.live_neutral", icon="USER")
    row.operator("mien.forget_neutral", text="", icon="LOOP_BACK")
    if capture.recording:
        column.operator("mien.live_record", text="Stop Recording", icon="SNAP_FACE", depress=True)
    else:
        column.operator("mien.live_record", icon="REC")
    column.operator("mien.stop_live", icon="CANCEL")


class MIEN_PT_live(MienPanel, bpy.types.Panel):
    """A camera drives the head"""

    bl_label = "Live"
    bl_parent_id = "MIEN_PT_source"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        """Only while none runs, whose buttons stand above."""
        return session().live is None

    def draw(self, context: Any) -> None:
        """Draw what drives the head, and the button."""
        layout, settings = self.layout, context.scene.mien
        layout.row(align=True).prop(settings, "live_from", expand=True)
        if settings.live_from == "CAMERA":
            layout.prop(settings, "live_device")
        layout.operator("mien.start_live", icon="PLAY")


CLASSES = (MIEN_MT_from_scene, MIEN_PT_source, MIEN_UL_references, MIEN_PT_references, MIEN_PT_live)
