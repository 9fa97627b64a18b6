# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators around the backend: check, restart, log, keys."""

from __future__ import annotations

from typing import Any

import bpy
from bpy.props import BoolProperty, StringProperty

from ..client.events import ClientState
from ..client.launch import client_keys
from ..contract.errors import MienError
from .session import session
from .settings import ADDON, preferences


class MIEN_OT_check_backend(bpy.types.Operator):
    """Start the backend, or connect to it, and see whether it is ready"""

    bl_idname = "mien.check_backend"
    bl_label = "Check Backend"

    wait: BoolProperty(
        name="Wait",
        description="Return when the backend is ready or has failed; for scripts",
        default=False,
        options={"SKIP_SAVE"},
    )

    def execute(self, context: Any) -> set[str]:
        """Start it; the state line tells the rest."""
        current = session()
        try:
            current.start()
        except MienError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        current.pump()
        if not self.wait:
            return {"FINISHED"}
        current.wait(lambda: current.client_state in {ClientState.READY, ClientState.BUSY, ClientState.FAILED})
        if current.client_state is ClientState.FAILED:
            self.report({"ERROR"}, str(current.client_error))
            return {"CANCELLED"}
        self.report({"INFO"}, current.phrase)
        return {"FINISHED"}


class MIEN_OT_restart_backend(bpy.types.Operator):
    """End the backend and start it anew; a capture that runs is given up"""

    bl_idname = "mien.restart_backend"
    bl_label = "Restart Backend"

    def execute(self, context: Any) -> set[str]:
        """Restart it."""
        try:
            session().restart()
        except MienError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


class MIEN_OT_open_log(bpy.types.Operator):
    """Open the backend's log with the system's text viewer"""

    bl_idname = "mien.open_log"
    bl_label = "Open Log"

    @classmethod
    def poll(cls, context: Any) -> bool:
        """Only when there is one."""
        if not session().log_file.is_file():
            remote = preferences().use_remote
            where = "The log is on the remote computer" if remote else "There is no log yet; it begins with the backend"
            cls.poll_message_set(where)
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        """Open it."""
        path = str(session().log_file)
        try:
            bpy.ops.wm.path_open(filepath=path)
        except RuntimeError:
            self.report({"ERROR"}, f"No program opens {path}. Open it with a text editor.")
            return {"CANCELLED"}
        return {"FINISHED"}


class MIEN_OT_open_preferences(bpy.types.Operator):
    """Show the preferences of Mien"""

    bl_idname = "mien.open_preferences"
    bl_label = "Preferences"

    def execute(self, context: Any) -> set[str]:
        """Show them."""
        bpy.ops.preferences.addon_show(module=ADDON)
        return {"FINISHED"}


class MIEN_OT_clear_error(bpy.types.Operator):
    """Hide this error"""

    bl_idname = "mien.clear_error"
    bl_label = "Hide Error"
    bl_options = {"INTERNAL"}

    def execute(self, context: Any) -> set[str]:
        """Forget the error."""
        session().error = None
        return {"FINISHED"}


class MIEN_OT_copy_key(bpy.types.Operator):
    """Copy this Blender's public key, which the remote backend must be told to let it in"""

    bl_idname = "mien.copy_key"
    bl_label = "Copy Key"

    def execute(self, context: Any) -> set[str]:
        """Put the key on the clipboard."""
        try:
            context.window_manager.clipboard = client_keys().public
        except MienError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.report({"INFO"}, "The key is on the clipboard")
        return {"FINISHED"}


class MIEN_OT_copy_text(bpy.types.Operator):
    """Copy this text"""

    bl_idname = "mien.copy_text"
    bl_label = "Copy"
    bl_options = {"INTERNAL"}

    text: StringProperty(name="Text", description="What to copy")

    def execute(self, context: Any) -> set[str]:
        """Put the text on the clipboard."""
        context.window_manager.clipboard = self.text
        return {"FINISHED"}


CLASSES = (
    MIEN_OT_check_backend,
    MIEN_OT_restart_backend,
    MIEN_OT_open_log,
    MIEN_OT_open_preferences,
    MIEN_OT_clear_error,
    MIEN_OT_copy_key,
    MIEN_OT_copy_text,
)
