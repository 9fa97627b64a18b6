# SPDX-License-Identifier: GPL-3.0-or-later
"""Photos and clips dropped onto the viewport."""

from __future__ import annotations

from typing import Any

import bpy

from .kinds import SOURCE_SUFFIXES


class MIEN_FH_source(bpy.types.FileHandler):
    """A photo or clip of a face"""

    bl_idname = "MIEN_FH_source"
    bl_label = "Face to Capture"
    bl_import_operator = "mien.choose_source"
    bl_file_extensions = ";".join(SOURCE_SUFFIXES)

    @classmethod
    def poll_drop(cls, context: Any) -> bool:
        """Only onto the 3D view."""
        return context.area is not None and context.area.type == "VIEW_3D"


CLASSES = (MIEN_FH_source,)
