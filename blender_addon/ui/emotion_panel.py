# SPDX-License-Identifier: GPL-3.0-or-later
"""The section "Emotion": what the face of the chosen take says on this frame."""

from __future__ import annotations

from typing import Any

import bpy

from .emotion import emotion_now
from .panel_base import MienPanel, draw_lines, line_width
from .takes import active_take


class MIEN_PT_emotion(MienPanel, bpy.types.Panel):
    """What the face of the chosen take says on this frame"""

    bl_label = "Emotion"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        """Only for a take."""
        return active_take(context) is not None

    def draw(self, context: Any) -> None:
        """Draw the strongest emotions, valence and arousal, or why there are none."""
        layout, found = self.layout, emotion_now(context)
        if isinstance(found, str):
            layout.enabled = False
            draw_lines(layout, found, line_width(context), "INFO")
            return
        column = layout.column(align=True)
        for name, likely in found.strongest:
            column.progress(factor=likely, type="BAR", text=f"{name} {likely:.0%}")
        for label, value in (("Valence", found.valence), ("Arousal", found.arousal)):
            if value is not None:
                row = layout.row()
                row.label(text=label)
                side = row.row()
                side.alignment = "RIGHT"
                side.label(text=f"{value:+.2f}")


CLASSES = (MIEN_PT_emotion,)
