# SPDX-License-Identifier: GPL-3.0-or-later
"""The section "Capture": what it will do, the button, and the captures that run."""

from __future__ import annotations

from typing import Any

import bpy

from . import choices
from .active_head import active_head
from .facts import facts
from .panel_base import MienPanel, draw_lines, line_width
from .properties import captured_frames
from .running import Running
from .session import session
from .state_line import draw_problem

_LABEL_SHARE = 0.4


class MIEN_PT_capture(MienPanel, bpy.types.Panel):
    """The capture"""

    bl_label = "Capture"

    def draw(self, context: Any) -> None:
        """Draw engine, head and focal length, the button, and the captures that run."""
        layout, settings, current = self.layout, context.scene.mien, session()
        fields = layout.column()
        fields.use_property_split = True
        fields.use_property_decorate = False
        current.keep_models_fresh()
        models = current.models
        draw_menu(fields, "Engine", "MIEN_MT_engine", choices.engine_title(settings.engine, models))
        draw_menu(fields, "Head", "MIEN_MT_head", choices.head_title(settings.head, models))
        row = fields.row(align=True, heading="Focal Length")
        row.prop(settings, "focal_auto", text="Auto", toggle=True)
        value = row.row(align=True)
        value.active = not settings.focal_auto
        value.prop(settings, "focal_mm", text="")
        if active_head(context) is not None:
            layout.prop(settings, "reuse_head")
        captures = [capture for capture in current.present if not capture.live]
        for capture in captures:
            _draw_running(layout, capture, current.phrase, len(captures) > 1, line_width(context))
        button = layout.row()
        button.scale_y = 1.0 if captures else 1.6
        found = facts(bpy.path.abspath(settings.source)) if settings.source else None
        moves = found is not None and found.kind.moves
        operator = "mien.capture_performance" if moves else "mien.capture_face"
        button.operator(operator, text=capture_label(settings, found))
        if problem := choices.capture_problem(models, settings.engine, settings.head, settings.weights):
            draw_lines(layout, f"{problem}.", line_width(context), "ERROR")
            layout.operator("mien.open_preferences", text="Add Models...")
        if current.error:
            draw_problem(layout, current.error, line_width(context))


def draw_menu(layout: Any, label: str, menu: str, text: str) -> None:
    """Draw a menu as Blender draws a property beside its name."""
    split = layout.split(factor=_LABEL_SHARE)
    name = split.row()
    name.alignment = "RIGHT"
    name.label(text=label)
    split.menu(menu, text=text)


def _draw_running(layout: Any, capture: Running, phrase: str, several: bool, width: int) -> None:
    column = layout.column(align=True)
    if several:
        column.label(text=capture.request.title)
    row = column.row(align=True)
    row.progress(factor=capture.done, type="BAR", text=capture.text(phrase))
    row.operator("mien.cancel", text="", icon="X").job = capture.job
    if capture.note:
        draw_lines(column, capture.note, width, "INFO")


def capture_label(settings: Any, found: Any) -> str:
    """What the button will do: "Capture Face", "Capture Performance (297 frames)"."""
    moves = found is not None and found.kind.moves
    if settings.all_faces:
        text = "Capture All People" if moves else "Capture All Faces"
    elif settings.face > 1:
        text = f"Capture {'Person' if moves else 'Face'} {settings.face}"
    else:
        text = "Capture Performance" if moves else "Capture Face"
    count = captured_frames(settings, found) if moves else 0
    return f"{text} ({count} frame{'s' if count > 1 else ''})" if count else text


class MIEN_PT_capture_options(MienPanel, bpy.types.Panel):
    """How the head is built and its performance keyed"""

    bl_label = "Options"
    bl_parent_id = "MIEN_PT_capture"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: Any) -> None:
        """Draw the options."""
        layout, settings = self.layout, context.scene.mien
        layout.use_property_split = True
        layout.use_property_decorate = False
        _draw_engine_options(layout, settings, line_width(context))
        layout.prop(settings, "timing")
        layout.prop(settings, "start_mode")
        if settings.start_mode == "GIVEN":
            layout.prop(settings, "start")
        layout.prop(settings, "smoothing")
        layout.prop(settings, "neck_share")
        for name in ("identity_keys", "rotation_mode", "subdivision", "use_camera"):
            layout.prop(settings, name)
        row = layout.row()
        row.active = settings.use_camera
        row.prop(settings, "look_through")


def _draw_engine_options(layout: Any, settings: Any, width: int) -> None:
    """Draw what the chosen engine has options for."""
    models, engine = session().models, settings.engine
    if engine == "fit":
        return
    if choices.weights(models, engine):
        draw_menu(layout, "Weights", "MIEN_MT_weights", settings.weights or "Last Added")
    problem = choices.mica_problem(models, settings.head)
    row = layout.row()
    row.enabled = not problem or settings.identity == "mica"
    row.prop(settings, "identity")
    if problem and settings.identity == "mica":
        draw_lines(layout, f"{problem}.", width, "INFO")
    if engine == "smirk":
        layout.prop(settings, "eyelid_space")
    status = choices.engine_of(models, engine)
    if status is not None and status.sees_wrinkles:
        layout.prop(settings, "displacement")


CLASSES = (MIEN_PT_capture, MIEN_PT_capture_options)
