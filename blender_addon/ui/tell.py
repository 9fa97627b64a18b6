# SPDX-License-Identifier: GPL-3.0-or-later
"""News in Blender's status bar, and panels that draw themselves again."""

from __future__ import annotations

import bpy

from .. import compat


def tell(level: str, text: str) -> None:
    """Say something as an operator would, so that it stands in Blender's status bar and Info editor."""
    with compat.window_context():
        try:
            bpy.ops.mien.tell(level=level, text=text)
        except RuntimeError:
            pass  # how bpy.ops passes on an ERROR report; it has been shown


def redraw() -> None:
    """Let the panels and the preferences draw themselves again."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type in {"VIEW_3D", "PREFERENCES"}:
                for region in area.regions:
                    if region.type in {"UI", "WINDOW"}:
                        region.tag_redraw()
