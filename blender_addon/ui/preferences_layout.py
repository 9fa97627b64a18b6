# SPDX-License-Identifier: GPL-3.0-or-later
"""How the preferences look."""

from __future__ import annotations

from typing import Any

import bpy

from .models_layout import draw_models
from .session import session
from .settings import SETUP_COMMAND, where_it_lives
from .state_line import draw_problem, draw_state


def draw_preferences(preferences: Any, layout: Any) -> None:
    """Draw the add-on's preferences."""
    current = session()
    box = layout.box()
    draw_state(box, current)
    if not preferences.use_remote:
        _draw_local(preferences, box)
    row = box.row(align=True)
    row.operator("mien.check_backend", text="Check", icon="CHECKMARK")
    row.operator("mien.restart_backend", text="Restart", icon="FILE_REFRESH")
    row.operator("mien.open_log", text="Open Log", icon="TEXT")
    error = current.client_error or current.error
    if error and (preferences.use_remote or where_it_lives()):  # how to install it stands above
        draw_problem(box, error, 90, clear=False)
    draw_models(layout.box(), current, preferences.use_remote)
    _draw_remote(preferences, layout.box())


def _draw_local(preferences: Any, layout: Any) -> None:
    lines = where_it_lives()
    column = layout.column(align=True)
    for line in lines:
        column.label(text=line)
    if not lines:
        column.label(text="The backend is not installed. In the folder of Mien run:")
        row = column.row(align=True)
        row.label(text=SETUP_COMMAND)
        row.operator("mien.copy_text", text="", icon="COPYDOWN").text = SETUP_COMMAND
    fields = layout.column()
    fields.use_property_split = True
    fields.prop(preferences, "backend_folder")
    fields.prop(preferences, "backend_python")


def _draw_remote(preferences: Any, layout: Any) -> None:
    layout.prop(preferences, "use_remote")
    if not preferences.use_remote:
        return
    fields = layout.column()
    fields.use_property_split = True
    fields.prop(preferences, "remote_address")
    fields.prop(preferences, "remote_key")
    if not bpy.app.online_access:
        layout.label(text="Other computers need Allow Online Access, in the preferences' section System", icon="INFO")
    layout.label(text="The remote backend admits only keys that it knows: give it this Blender's")
    row = layout.row()
    row.operator("mien.copy_key", text="Copy Key", icon="COPYDOWN")
