# SPDX-License-Identifier: GPL-3.0-or-later
"""The section "Takes": the captures of this scene, and what can be done with each."""

from __future__ import annotations

from typing import Any

import bpy

from ..contract.errors import ErrorCode
from ..contract.smoothing import GROUPS
from . import smoothing
from .choices import engine_title
from .dots import Colour, dot
from .panel_base import MienPanel, draw_lines, line_width
from .session import session
from .take_properties import Story
from .takes import active_take, shows_overlay

_GOOD, _FAIR = 0.7, 0.4


class MIEN_UL_takes(bpy.types.UIList):
    """Takes of a scene"""

    def draw_item(
        self, context: Any, layout: Any, data: Any, item: Any, icon: int, active_data: Any, active_property: str
    ) -> None:
        """Draw one take: quality, name, engine, frames."""
        row = layout.row(align=True)
        row.prop(item, "name", text="", emboss=False, icon_value=dot(quality(item.confidence)))
        facts = row.row()
        facts.alignment = "RIGHT"
        facts.label(text=_short_engine(item.engine))
        if item.frames > 1:
            facts.label(text=str(item.frames))


class MIEN_PT_takes(MienPanel, bpy.types.Panel):
    """The captures of this scene"""

    bl_label = "Takes"

    def draw(self, context: Any) -> None:
        """Draw the list and what can be done with the chosen take."""
        layout, settings = self.layout, context.scene.mien
        for name in session().imports.running:
            layout.label(text=f"{name} waits for its head", icon="SORTTIME")
        if session().imports.problem:
            draw_lines(layout, str(session().imports.problem), line_width(context), "ERROR")
        if not settings.takes:
            layout.operator("mien.import_take", icon="IMPORT")
            return
        row = layout.row()
        row.template_list("MIEN_UL_takes", "", settings, "takes", settings, "active_take", rows=3)
        column = row.column(align=True)
        column.operator("mien.import_take", text="", icon="IMPORT")
        column.operator("mien.remove_take", text="", icon="REMOVE")
        take = active_take(context)
        if take is None:
            return
        frames = f", {take.frames} frames" if take.frames > 1 else ""
        layout.label(text=f"{engine_title(take.engine)}{frames}, {take.confidence:.0%} sure")
        if take.weights:
            layout.label(text=take.weights)
        draw_licence(layout, take.commercial_use, take.licences, line_width(context))
        column = layout.column(align=True)
        row = column.row(align=True)
        row.operator("mien.apply_take")
        row.operator("mien.push_to_nla")
        row = column.row(align=True)
        row.operator("mien.show_overlay", depress=shows_overlay(context))
        row.operator("mien.capture_again")
        if take.frames > 1:
            layout.prop(take, "smoothing", slider=True)
            _draw_problem(layout, take, line_width(context))
        _draw_story(layout, Story.of_take(take), line_width(context))


def draw_licence(layout: Any, use: str, licences: str, width: int) -> None:
    """Draw what the artist must know about the licences; nothing where they allow everything or are not known."""
    if use in ("no", "unclear"):
        what = "Non-commercial" if use == "no" else "Commercial use unclear"
        draw_lines(layout, f"{what}: {licences}" if licences else what, width, "ERROR")


def _draw_problem(layout: Any, take: Any, width: int) -> None:
    error = smoothing.problem_of(take)
    if error is None:
        return
    draw_lines(layout, str(error), width, "ERROR")
    if error.code is ErrorCode.USAGE:
        layout.operator("mien.smooth_again")


def _draw_story(layout: Any, story: Story, width: int) -> None:
    if story.summary:
        row = layout.row(align=True)
        row.operator("mien.jump_to_gap", text="", icon="TRIA_LEFT").forward = False
        row.operator("mien.jump_to_gap", text=story.summary).forward = True
        row.operator("mien.jump_to_gap", text="", icon="TRIA_RIGHT").forward = True
    if story.focal:
        layout.label(text=story.focal, icon="CAMERA_DATA")
    if story.static:
        layout.label(text="Static camera assumed")
    for problem in story.problems:
        draw_lines(layout, problem, width, "INFO")


def _short_engine(name: str) -> str:
    return "Fit" if name == "fit" else engine_title(name)


class MIEN_PT_smoothing(MienPanel, bpy.types.Panel):
    """How the smoothing is shared out"""

    bl_label = "Smoothing by Region"
    bl_parent_id = "MIEN_PT_takes"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        """Only for a take that moves."""
        take = active_take(context)
        return take is not None and take.frames > 1

    def draw(self, context: Any) -> None:
        """Draw a slider for each group of channels."""
        column = self.layout.column(align=True)
        for group in GROUPS:
            column.prop(active_take(context), f"smooth_{group}", slider=True)


def quality(confidence: float) -> Colour:
    """Green, amber or red for how sure a capture is."""
    if confidence >= _GOOD:
        return "green"
    return "amber" if confidence >= _FAIR else "red"


CLASSES = (MIEN_UL_takes, MIEN_PT_takes, MIEN_PT_smoothing)
