# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panels share."""

from __future__ import annotations

import textwrap
from typing import Any

_CHARACTER = 7.0  # pixels of a letter, about
_MARGIN = 70.0  # pixels of borders and icons


class MienPanel:
    """A panel in the sidebar tab."""

    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Mien"


def line_width(context: Any) -> int:
    """How many characters fit into a line of the region."""
    scale = context.preferences.system.ui_scale or 1.0  # 0 where there is no window
    width = context.region.width if context.region else 280
    return max(20, int((width - _MARGIN * scale) / (_CHARACTER * scale)))


def draw_lines(layout: Any, text: str, width: int, icon: str = "NONE") -> None:
    """Draw a text in as many lines as it needs."""
    column = layout.column(align=True)
    for number, line in enumerate(textwrap.wrap(text, width)):
        column.label(text=line, icon="NONE" if number else icon)
