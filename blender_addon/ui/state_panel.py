# SPDX-License-Identifier: GPL-3.0-or-later
"""The top of the tab: how the backend is, what can be done about it, and what it has done before."""

from __future__ import annotations

import time
from typing import Any

import bpy

from ..contract.status import JobState
from .panel_base import MienPanel, line_width
from .request import short_name
from .running import duration
from .session import session
from .state_line import draw_problem, draw_state

_MOST_JOBS = 12
_ICONS = {
    JobState.QUEUED: "TIME",
    JobState.RUNNING: "PLAY",
    JobState.FINISHED: "CHECKMARK",
    JobState.FAILED: "ERROR",
    JobState.CANCELLED: "X",
    JobState.INTERRUPTED: "PAUSE",
}


class MIEN_PT_state(MienPanel, bpy.types.Panel):
    """State of the backend"""

    bl_label = "Mien"
    bl_options = {"HIDE_HEADER"}

    def draw(self, context: Any) -> None:
        """Draw the state line and the menu beside it."""
        current = session()
        row = self.layout.row(align=True)
        draw_state(row, current, line_width(context))
        row.menu("MIEN_MT_backend", text="", icon="DOWNARROW_HLT")
        if current.client_error and current.error is None:
            draw_problem(self.layout, current.client_error, line_width(context), clear=False)


class MIEN_MT_backend(bpy.types.Menu):
    """What can be done about the backend"""

    bl_label = "Backend"

    def draw(self, context: Any) -> None:
        """Draw the menu."""
        self.layout.operator("mien.check_backend", icon="CHECKMARK")
        self.layout.operator("mien.restart_backend", icon="FILE_REFRESH")
        self.layout.menu("MIEN_MT_jobs", icon="PRESET")
        self.layout.operator("mien.open_log", icon="TEXT")
        self.layout.operator("mien.open_preferences", icon="PREFERENCES")


class MIEN_MT_jobs(bpy.types.Menu):
    """Captures on the backend's disk, to pick up"""

    bl_label = "Jobs"

    def draw(self, context: Any) -> None:
        """Draw the newest, except those that run for this file."""
        current = session()
        self.layout.operator("mien.list_jobs", icon="FILE_REFRESH")
        known = [capture.job for capture in current.present] + [take.path for take in context.scene.mien.takes]
        there = [
            item
            for item in current.jobs
            if not item.options.live
            and not any(item.status.job in name for name in known)  # files are named after jobs
        ]
        if not there:
            self.layout.label(text="No earlier captures")
        for item in there[:_MOST_JOBS]:
            text = f"Pick Up {short_name(item.options)}, {duration(time.time() - item.submitted)} ago"
            button = self.layout.operator("mien.pick_up", text=text, icon=_ICONS[item.status.state])
            button.job = item.status.job


CLASSES = (MIEN_MT_jobs, MIEN_MT_backend, MIEN_PT_state)
