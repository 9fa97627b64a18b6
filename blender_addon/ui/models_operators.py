# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators on the list of models: ask for it again, add files."""

from __future__ import annotations

import os
from typing import Any

import bpy
from bpy.props import BoolProperty, CollectionProperty, StringProperty

from ..contract.errors import MienError
from .session import session
from .settings import preferences


class MIEN_OT_refresh_models(bpy.types.Operator):
    """Ask the backend which engines and heads are ready; starts it if needed"""

    bl_idname = "mien.refresh_models"
    bl_label = "Refresh"

    def execute(self, context: Any) -> set[str]:
        """Ask."""
        try:
            session().list_models()
        except MienError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


class MIEN_OT_add_models(bpy.types.Operator):
    """Take over model files that you downloaded: archives, folders or single files, as they are"""

    bl_idname = "mien.add_models"
    bl_label = "Add Files"
    bl_options = {"REGISTER"}

    filepath: StringProperty(
        name="File", description="A file or folder; without one the file browser opens", subtype="FILE_PATH",
        options={"SKIP_SAVE"},
    )  # fmt: skip
    directory: StringProperty(
        name="Folder", description="Where the chosen files lie; all of it where none is chosen", subtype="DIR_PATH",
        options={"SKIP_SAVE"},
    )  # fmt: skip
    files: CollectionProperty(
        name="Files",
        description="Several files of one folder, in the file browser",
        type=bpy.types.OperatorFileListElement,
        options={"SKIP_SAVE", "HIDDEN"},
    )
    wait: BoolProperty(
        name="Wait",
        description="Come back when they are added; for scripts",
        default=False,
        options={"SKIP_SAVE", "HIDDEN"},
    )

    @classmethod
    def poll(cls, context: Any) -> bool:
        """A backend of this computer that has nothing else to add."""
        if preferences().use_remote:
            cls.poll_message_set("The backend is on another computer; run mien models add there")
            return False
        if problem := session().client_error:
            cls.poll_message_set(str(problem))
            return False
        if session().adding.running:
            cls.poll_message_set("Files are being added; wait until they are")
            return False
        return True

    def invoke(self, context: Any, event: Any) -> set[str]:
        """Open the file browser."""
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: Any) -> set[str]:
        """Let the backend take them over."""
        current, paths = session(), self._paths()
        missing = next((path for path in paths if not os.path.exists(path)), None)
        if missing is not None or not paths:
            what = f"{missing} is not there" if missing else "No file is chosen"
            self.report({"ERROR"}, f"{what}. Choose files or a folder that you downloaded.")
            return {"CANCELLED"}
        try:
            current.adding.add(current.client(), paths)
        except MienError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        current.stay_awake()
        if not self.wait:
            return {"FINISHED"}
        current.wait(lambda: not current.adding.running)
        if current.adding.problem:
            self.report({"ERROR"}, str(current.adding.problem))
            return {"CANCELLED"}
        return {"FINISHED"}

    def _paths(self) -> list[str]:
        names = [item.name for item in self.files if item.name]
        if names:
            folder = self.directory or os.path.dirname(self.filepath)
            chosen = [os.path.join(folder, name) for name in names]
        else:
            chosen = [self.filepath or self.directory]
        return [os.path.abspath(bpy.path.abspath(path)) for path in chosen if path]


CLASSES = (MIEN_OT_refresh_models, MIEN_OT_add_models)
