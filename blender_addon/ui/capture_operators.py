# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators around a capture: choose a photo, start, cancel."""

from __future__ import annotations

import os
from typing import Any

import bpy
from bpy.props import BoolProperty, EnumProperty, IntProperty, StringProperty
from bpy_extras.io_utils import ImportHelper

from ..contract.errors import MienError
from .facts import PHOTO_SUFFIXES, Facts, facts, shown_path
from .properties import request_from
from .session import session


def _refusal(photo: str, found: Facts) -> str:
    return f"{shown_path(photo)}: {found.text}. Choose a JPEG, PNG or HEIC photo of a face."


class MIEN_OT_choose_photo(bpy.types.Operator, ImportHelper):
    """Choose the photo of a face"""

    bl_idname = "mien.choose_photo"
    bl_label = "Choose Face Photo"
    bl_options = {"REGISTER", "UNDO"}

    filepath: StringProperty(
        name="Photo",
        description="Photo of the face to capture; without one the file browser opens",
        subtype="FILE_PATH",
        options={"SKIP_SAVE"},  # a path of the last time would count as dropped, and the browser would not open
    )
    filter_glob: StringProperty(default=";".join(f"*{suffix}" for suffix in PHOTO_SUFFIXES), options={"HIDDEN"})

    def invoke(self, context: Any, event: Any) -> set[str]:
        """Open the file browser, unless a photo was dropped."""
        if self.filepath and os.path.isfile(self.filepath):
            return self.execute(context)
        self.filepath = bpy.path.abspath(context.scene.mien.photo)  # so that the browser opens where it is
        return ImportHelper.invoke(self, context, event)

    def execute(self, context: Any) -> set[str]:
        """Take the photo."""
        found = facts(self.filepath)
        if found.problem:
            self.report({"ERROR"}, _refusal(self.filepath, found))
            return {"CANCELLED"}
        settings = context.scene.mien
        settings.photo = self.filepath
        settings.face, settings.all_faces = 1, False
        if context.area is not None:
            context.area.tag_redraw()
        name = os.path.basename(self.filepath)
        self.report({"INFO"}, f"Press Capture Face in the sidebar tab Mien to capture {name}")
        return {"FINISHED"}


class MIEN_OT_capture_face(bpy.types.Operator):
    """Turn the face in the photo into a head with shape keys, bones and a camera"""

    bl_idname = "mien.capture_face"
    bl_label = "Capture Face"
    bl_options = {"REGISTER"}

    filepath: StringProperty(
        name="Photo", description="Photo to capture; the panel's photo if empty", subtype="FILE_PATH"
    )
    face: IntProperty(
        name="Face", description="Which face, counted from the largest; the panel's setting if 0", default=0, min=0
    )
    wait: BoolProperty(
        name="Wait",
        description="Return when the head is there; for scripts, since Blender stands still meanwhile",
        default=False,
        options={"SKIP_SAVE"},
    )

    @classmethod
    def poll(cls, context: Any) -> bool:
        """One capture at a time."""
        if session().running:
            cls.poll_message_set("A capture is running; wait for it or cancel it")
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        """Start the capture."""
        settings = context.scene.mien
        photo = bpy.path.abspath(self.filepath or settings.photo)
        if not photo:
            remedy = "Choose one with the file button, or drop one onto the viewport."
            self.report({"ERROR"}, f"No photo is chosen. {remedy}")
            return {"CANCELLED"}
        found = facts(photo)
        if found.problem:
            self.report({"ERROR"}, _refusal(photo, found))
            return {"CANCELLED"}
        if self.filepath:
            settings.photo = photo
        if self.face:
            settings.face, settings.all_faces = self.face, False
        try:
            session().capture(request_from(settings, context.scene, photo))
        except MienError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return self._wait() if self.wait else {"FINISHED"}

    def _wait(self) -> set[str]:
        current = session()
        current.wait(lambda: not current.running)
        if current.error:
            self.report({"ERROR"}, str(current.error))
            return {"CANCELLED"}
        return {"FINISHED"}


class MIEN_OT_cancel(bpy.types.Operator):
    """Stop the capture that runs; the scene stays as it is"""

    bl_idname = "mien.cancel"
    bl_label = "Cancel"

    @classmethod
    def poll(cls, context: Any) -> bool:
        """Only while something runs."""
        if not session().running:
            cls.poll_message_set("No capture is running")
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        """Cancel."""
        session().cancel()
        return {"FINISHED"}


class MIEN_OT_choose_face(bpy.types.Operator):
    """Capture this face of the photo, counted from the largest"""

    bl_idname = "mien.choose_face"
    bl_label = "Choose Face"
    bl_options = {"REGISTER", "UNDO"}

    face: IntProperty(name="Face", description="Which face, counted from the largest; 0 for all", default=1, min=0)

    def execute(self, context: Any) -> set[str]:
        """Set the panel's face."""
        settings = context.scene.mien
        settings.all_faces = self.face == 0
        settings.face = max(self.face, 1)
        return {"FINISHED"}


class MIEN_OT_tell(bpy.types.Operator):
    """Say something in the status bar"""

    bl_idname = "mien.tell"
    bl_label = "Mien"
    bl_options = {"INTERNAL"}

    level: EnumProperty(
        name="Level",
        description="How important it is",
        items=[("INFO", "Info", "News"), ("WARNING", "Warning", "Worth knowing"), ("ERROR", "Error", "A failure")],
    )
    text: StringProperty(name="Text", description="What to say")

    def execute(self, context: Any) -> set[str]:
        """Report it."""
        self.report({self.level}, self.text)
        return {"FINISHED"}


CLASSES = (MIEN_OT_choose_photo, MIEN_OT_capture_face, MIEN_OT_cancel, MIEN_OT_choose_face, MIEN_OT_tell)
