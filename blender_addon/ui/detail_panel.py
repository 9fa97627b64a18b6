# SPDX-License-Identifier: GPL-3.0-or-later
"""The section "Detail": the wrinkles of the active head."""

from __future__ import annotations

from typing import Any

import bpy

from ..detail import names
from ..detail.wrinkles import has_wrinkles
from .active_head import active_head
from .panel_base import MienPanel, draw_lines, line_width


class MIEN_PT_detail(MienPanel, bpy.types.Panel):
    """Wrinkles of the active head"""

    bl_label = "Detail"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        """Only for a head."""
        return active_head(context) is not None

    def draw(self, context: Any) -> None:
        """Draw strength, what shows the wrinkles, where and how finely."""
        layout, head = self.layout, active_head(context)
        if not has_wrinkles(head):
            text = f"'{head.name}' has no wrinkle maps. Takes that DECA or EMOCA captured bring them."
            draw_lines(layout, text, line_width(context), "INFO")
            return
        layout.enabled = head.library is None
        layout.prop(head, f'["{names.STRENGTH}"]', text="Strength", slider=True)
        layout.row(align=True).prop(head.mien_detail, "kind", expand=True)
        column = layout.column(align=True)
        column.active = head.mien_detail.kind != "OFF"
        column.prop(head.mien_detail, "render_levels")
        column.prop(head.mien_detail, "viewport")
        row = column.row(align=True)
        row.active = head.mien_detail.viewport
        row.prop(head.mien_detail, "viewport_levels")
        layout.operator("mien.remove_wrinkles", icon="X")


CLASSES = (MIEN_PT_detail,)
