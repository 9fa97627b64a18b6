# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators on a head's wrinkles."""

from __future__ import annotations

from typing import Any

import bpy
from bpy.props import BoolProperty, EnumProperty, IntProperty

from ..detail.modifiers import MOST_LEVELS, RENDER_LEVELS, VIEWPORT_LEVELS, set_levels
from ..detail.wrinkles import has_wrinkles, remove_wrinkles, show_as, show_in_viewport
from .active_head import active_head, has_head
from .detail_properties import KINDS


def has_maps(cls: Any, context: Any) -> bool:
    """Poll for operators on the wrinkles of the active head."""
    if not has_head(cls, context):
        return False
    if not has_wrinkles(active_head(context)):
        cls.poll_message_set("This head has no wrinkle maps; apply a take that DECA or EMOCA captured")
        return False
    return True


class MIEN_OT_set_wrinkles(bpy.types.Operator):
    """Choose how the wrinkles of the active head are shown"""

    bl_idname = "mien.set_wrinkles"
    bl_label = "Set Wrinkles"
    bl_options = {"REGISTER", "UNDO"}

    kind: EnumProperty(name="Wrinkles", description="What shows the wrinkles", items=KINDS)
    viewport: BoolProperty(name="Show in Viewport", description="Show them in the viewport too", default=False)
    render_levels: IntProperty(
        name="Render Levels", description="Subdivision in renders", default=RENDER_LEVELS, min=1, max=MOST_LEVELS
    )
    viewport_levels: IntProperty(
        name="Viewport Levels",
        description="Subdivision in the viewport",
        default=VIEWPORT_LEVELS,
        min=1,
        max=MOST_LEVELS,
    )

    @classmethod
    def poll(cls, context: Any) -> bool:
        """Needs a head with maps."""
        return has_maps(cls, context)

    def execute(self, context: Any) -> set[str]:
        """Show them so."""
        head = active_head(context)
        show_as(head, self.kind)
        show_in_viewport(head, self.viewport)
        set_levels(head, self.render_levels, self.viewport_levels)
        return {"FINISHED"}


class MIEN_OT_remove_wrinkles(bpy.types.Operator):
    """Take the wrinkles off the active head; the maps stay on disk, and applying the take again brings them back"""

    bl_idname = "mien.remove_wrinkles"
    bl_label = "Remove Wrinkles"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        """Needs a head with maps."""
        return has_maps(cls, context)

    def execute(self, context: Any) -> set[str]:
        """Remove them."""
        remove_wrinkles(active_head(context))
        return {"FINISHED"}


CLASSES = (MIEN_OT_set_wrinkles, MIEN_OT_remove_wrinkles)
