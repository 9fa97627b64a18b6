# SPDX-License-Identifier: GPL-3.0-or-later
"""The section "Export": heads and takes for other programs."""

from __future__ import annotations

from typing import Any

import bpy

from ..rig import names
from .active_head import active_head
from .panel_base import MienPanel, draw_lines, line_width
from .session import session
from .takes import active_take
from .takes_panels import draw_licence


class MIEN_PT_export(MienPanel, bpy.types.Panel):
    """Heads and takes for other programs"""

    bl_label = "Export"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: Any) -> None:
        """Draw what can be written, and what is being written."""
        layout, settings, current = self.layout, context.scene.mien.export, session()
        head, take = active_head(context), active_take(context)
        column = layout.column(align=True)
        column.label(text=head.name if head else "No Head Selected", icon="USER")
        for formats in (("fbx", "glb", "usd"), ("abc", "mdd")):  # in one row "Alembic" would be cut
            row = column.row(align=True)
            for name in formats:
                row.prop(settings, name, toggle=True)
        column.operator("mien.export_head", icon="EXPORT")
        if head is not None:
            draw_licence(layout, head[names.COMMERCIAL_USE], head[names.HEAD_LICENCE], line_width(context))
        column = layout.column(align=True)
        column.label(text=take.name if take else "No Take Chosen", icon="ACTION")
        row = column.row(align=True)
        row.prop(settings, "take_format", text="")
        if not (current.exports.listed or current.client_error):
            row.operator("mien.check_backend", text="More Formats")  # which the backend tells once it runs
        column.operator("mien.export_take", icon="EXPORT")
        if take is not None:
            draw_licence(layout, take.commercial_use, take.licences, line_width(context))
        if waiting := current.exports.running:
            row = layout.row(align=True)
            row.label(text=f"Writing {waiting[0]}", icon="SORTTIME")
            row.operator("mien.cancel_export", text="", icon="X")
        for problem in current.exports.problems:
            draw_lines(layout, str(problem), line_width(context), "ERROR")


CLASSES = (MIEN_PT_export,)
