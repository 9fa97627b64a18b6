# SPDX-License-Identifier: GPL-3.0-or-later
"""The sidebar tab "Mien": state, source, capture, takes."""

from __future__ import annotations

from typing import Any

import bpy

from .dots import Colour, dot
from .facts import facts, thumbnail
from .session import session
from .state_line import draw_problem, draw_state

_GOOD, _FAIR = 0.7, 0.4
_CHARACTER = 7.0  # pixels of a letter, about
_MARGIN = 70.0  # pixels of borders and icons


class _Panel:
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Mien"


class MIEN_PT_state(_Panel, bpy.types.Panel):
    """State of the backend"""

    bl_label = "Mien"
    bl_options = {"HIDE_HEADER"}

    def draw(self, context: Any) -> None:
        """Draw the state line and the menu beside it."""
        current = session()
        row = self.layout.row(align=True)
        draw_state(row, current, line_width(context))
        row.menu("MIEN_MT_backend", text="", icon="DOWNARROW_HLT")
        if current.client_error and current.error is None:
            draw_problem(self.layout, current.client_error, line_width(context), clear=False)


class MIEN_MT_backend(bpy.types.Menu):
    """What can be done about the backend"""

    bl_label = "Backend"

    def draw(self, context: Any) -> None:
        """Draw the menu."""
        self.layout.operator("mien.check_backend", icon="CHECKMARK")
        self.layout.operator("mien.restart_backend", icon="FILE_REFRESH")
        self.layout.operator("mien.open_log", icon="TEXT")
        self.layout.operator("mien.open_preferences", icon="PREFERENCES")


class MIEN_PT_source(_Panel, bpy.types.Panel):
    """The photo"""

    bl_label = "Source"

    def draw(self, context: Any) -> None:
        """Draw the file field, the thumbnail, the facts and the faces."""
        layout, settings = self.layout, context.scene.mien
        row = layout.row(align=True)
        row.prop(settings, "photo", text="")
        row.operator("mien.choose_photo", text="", icon="FILEBROWSER")
        if not settings.photo:
            layout.label(text="Or drop a photo onto the viewport")
            return
        photo = bpy.path.abspath(settings.photo)
        if icon := thumbnail(photo):
            layout.template_icon(icon, scale=6.0)
        found = facts(photo)
        row = layout.row()
        row.alert = found.problem
        row.label(text=found.text, icon="ERROR" if found.problem else "NONE")
        self._draw_faces(layout, settings, photo)

    @staticmethod
    def _draw_faces(layout: Any, settings: Any, photo: str) -> None:
        found = session().found
        if found is None or found.photo != photo or found.count < 2:
            if settings.all_faces or settings.face > 1:  # chosen for another photo, or in a file that was opened
                row = layout.row(align=True)
                number = row.row(align=True)
                number.active = not settings.all_faces
                number.prop(settings, "face")
                row.prop(settings, "all_faces", toggle=True)
            return
        layout.label(text=f"{found.count} faces, largest first", icon="COMMUNITY")
        row = layout.row(align=True)
        for number in range(1, min(found.count, 8) + 1):
            chosen = not settings.all_faces and settings.face == number
            row.operator("mien.choose_face", text=str(number), depress=chosen).face = number
        row.operator("mien.choose_face", text="All", depress=settings.all_faces).face = 0


class MIEN_PT_capture(_Panel, bpy.types.Panel):
    """The capture"""

    bl_label = "Capture"

    def draw(self, context: Any) -> None:
        """Draw engine, head and focal length, and the button or the progress."""
        layout, settings, current = self.layout, context.scene.mien, session()
        fields = layout.column()
        fields.use_property_split = True
        fields.use_property_decorate = False
        fields.enabled = not current.running
        fields.prop(settings, "engine")
        fields.prop(settings, "head")
        row = fields.row(align=True, heading="Focal Length")
        row.prop(settings, "focal_auto", text="Auto", toggle=True)
        value = row.row(align=True)
        value.active = not settings.focal_auto
        value.prop(settings, "focal_mm", text="")
        if current.running:
            self._draw_progress(layout, current)
        else:
            button = layout.row()
            button.scale_y = 1.6
            button.operator("mien.capture_face", text=_capture_label(settings))
        if current.error:
            draw_problem(layout, current.error, line_width(context))

    @staticmethod
    def _draw_progress(layout: Any, current: Any) -> None:
        progress = current.progress
        done = progress.done if progress else 0.0
        text = (progress.message or progress.stage.capitalize()) if progress else current.phrase
        layout.progress(factor=done, type="BAR", text=text)
        layout.operator("mien.cancel", icon="X")


class MIEN_PT_capture_options(_Panel, bpy.types.Panel):
    """How the head is built"""

    bl_label = "Options"
    bl_parent_id = "MIEN_PT_capture"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: Any) -> None:
        """Draw the options."""
        layout, settings = self.layout, context.scene.mien
        layout.use_property_split = True
        layout.use_property_decorate = False
        for name in ("identity_keys", "rotation_mode", "subdivision", "use_camera"):
            layout.prop(settings, name)
        row = layout.row()
        row.active = settings.use_camera
        row.prop(settings, "look_through")


class MIEN_UL_takes(bpy.types.UIList):
    """Takes of a scene"""

    def draw_item(
        self, context: Any, layout: Any, data: Any, item: Any, icon: int, active_data: Any, active_property: str
    ) -> None:
        """Draw one take: quality, name, frames."""
        row = layout.row(align=True)
        row.prop(item, "name", text="", emboss=False, icon_value=dot(quality(item.confidence)))
        if item.frames > 1:
            row.label(text=f"{item.frames} frames")


class MIEN_PT_takes(_Panel, bpy.types.Panel):
    """The captures of this scene"""

    bl_label = "Takes"

    @classmethod
    def poll(cls, context: Any) -> bool:
        """Only when there are any."""
        return bool(context.scene.mien.takes)

    def draw(self, context: Any) -> None:
        """Draw the list and what can be done with the chosen take."""
        layout, settings = self.layout, context.scene.mien
        row = layout.row()
        row.template_list("MIEN_UL_takes", "", settings, "takes", settings, "active_take", rows=3)
        row.column().operator("mien.remove_take", text="", icon="REMOVE")
        if 0 <= settings.active_take < len(settings.takes):
            take = settings.takes[settings.active_take]
            layout.label(text=f"{take.engine.capitalize()}, {take.confidence:.0%} sure")
        layout.operator("mien.apply_take")


def _capture_label(settings: Any) -> str:
    if settings.all_faces:
        return "Capture All Faces"
    return f"Capture Face {settings.face}" if settings.face > 1 else "Capture Face"


def quality(confidence: float) -> Colour:
    """Green, amber or red for how sure a capture is."""
    if confidence >= _GOOD:
        return "green"
    return "amber" if confidence >= _FAIR else "red"


def line_width(context: Any) -> int:
    """How many characters fit into a line of the region."""
    scale = context.preferences.system.ui_scale or 1.0  # 0 where there is no window
    width = context.region.width if context.region else 280
    return max(20, int((width - _MARGIN * scale) / (_CHARACTER * scale)))


CLASSES = (
    MIEN_MT_backend,
    MIEN_PT_state,
    MIEN_PT_source,
    MIEN_PT_capture,
    MIEN_PT_capture_options,
    MIEN_UL_takes,
    MIEN_PT_takes,
)
