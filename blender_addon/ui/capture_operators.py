# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators around captures: start, cancel, pick up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty, StringProperty

from ..contract.errors import MienError
from ..contract.status import JobState
from .asking import request_from
from .facts import facts_now
from .request import Request
from .running import Running
from .session import session
from .source_operators import refusal, take_source


def _wait_property() -> Any:
    return BoolProperty(
        name="Wait",
        description="Return when the head is there; for scripts, since Blender stands still meanwhile",
        default=False,
        options={"SKIP_SAVE"},
    )


def _path_property(what: str) -> Any:
    return StringProperty(
        name="Source", description=f"{what} to capture; the panel's source if empty", subtype="FILE_PATH"
    )


def _face_property(what: str) -> Any:
    return IntProperty(name="Face", description=f"{what}; the panel's setting if 0", default=0, min=0)


class _Capture:
    """What both capture operators do."""

    def execute(self, context: Any) -> set[str]:
        """Start the capture."""
        settings = context.scene.mien
        source = bpy.path.abspath(self.filepath or settings.source)
        if not source:
            remedy = "Choose one with the file button, or drop one onto the viewport."
            self.report({"ERROR"}, f"No photo or clip is chosen. {remedy}")
            return {"CANCELLED"}
        found = facts_now(source)
        if found.problem:
            self.report({"ERROR"}, refusal(source, found))
            return {"CANCELLED"}
        if self.filepath and source != bpy.path.abspath(settings.source):
            take_source(context, source)
        if self.face:
            settings.face, settings.all_faces = self.face, False
        try:
            self._prepare(settings)
            job = session().capture(request_from(settings, context, source))
        except MienError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return wait_for(self, job) if self.wait else {"FINISHED"}

    def _prepare(self, settings: Any) -> None:
        """Take over more arguments."""


def wait_for(operator: Any, job: str) -> set[str]:
    """Wait until a capture is over and report its error."""
    current = session()
    current.wait(lambda: job not in current.captures)
    if error := current.errors.get(job):
        operator.report({"ERROR"}, str(error))
        return {"CANCELLED"}
    return {"FINISHED"}


class MIEN_OT_capture_face(_Capture, bpy.types.Operator):
    """Turn the face in the photo into a head with shape keys, bones and a camera"""

    bl_idname = "mien.capture_face"
    bl_label = "Capture Face"
    bl_options = {"REGISTER"}

    filepath: _path_property("Photo")
    face: _face_property("Which face, counted from the largest")
    wait: _wait_property()


class MIEN_OT_capture_performance(_Capture, bpy.types.Operator):
    """Turn the face in the clip into a head with one action, and a camera with the footage behind it"""

    bl_idname = "mien.capture_performance"
    bl_label = "Capture Performance"
    bl_options = {"REGISTER"}

    filepath: _path_property("Clip, folder or pattern of numbered images")
    face: _face_property("Which person, counted from the most prominent")
    first: IntProperty(
        name="First Frame", description="First frame in the clip's own numbers; the panel's range if -1", default=-1,
        min=-1, options={"SKIP_SAVE"},
    )  # fmt: skip
    last: IntProperty(
        name="Last Frame", description="Last frame, which is captured too; the panel's range if -1", default=-1,
        min=-1, options={"SKIP_SAVE"},
    )  # fmt: skip
    fps: FloatProperty(
        name="Frame Rate", description="Numbered images in a second; the panel's setting if 0", default=0.0, min=0.0,
        options={"SKIP_SAVE"},
    )  # fmt: skip
    wait: _wait_property()

    def _prepare(self, settings: Any) -> None:
        if self.fps:
            settings.fps = self.fps
        if self.first < 0 and self.last < 0:
            return
        found = facts_now(bpy.path.abspath(settings.source))
        settings.range_first = self.first if self.first >= 0 else found.first
        settings.range_last = self.last if self.last >= 0 else found.last
        settings.use_range = True


class MIEN_OT_cancel(bpy.types.Operator):
    """Stop a capture that runs; the scene stays as it is"""

    bl_idname = "mien.cancel"
    bl_label = "Cancel"

    job: StringProperty(
        name="Job", description="Id of the capture; all that run for this file if empty", options={"SKIP_SAVE"}
    )

    @classmethod
    def poll(cls, context: Any) -> bool:
        """Only while something runs."""
        if not session().running:
            cls.poll_message_set("No capture is running")
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        """Cancel."""
        session().cancel(self.job)
        return {"FINISHED"}


class MIEN_OT_list_jobs(bpy.types.Operator):
    """Ask the backend for the captures on its disk"""

    bl_idname = "mien.list_jobs"
    bl_label = "Refresh"

    def execute(self, context: Any) -> set[str]:
        """Ask."""
        try:
            session().list_jobs()
        except MienError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


class MIEN_OT_pick_up(bpy.types.Operator):
    """Fetch this capture into the scene, or go on with it where it stood"""

    bl_idname = "mien.pick_up"
    bl_label = "Pick Up"
    bl_options = {"REGISTER"}

    job: StringProperty(name="Job", description="Id of the capture, from the menu Jobs", options={"SKIP_SAVE"})
    wait: _wait_property()

    @classmethod
    def poll(cls, context: Any) -> bool:
        """Only when the backend has told of some."""
        if not session().jobs:
            cls.poll_message_set("The backend has told of no captures; choose Refresh in the menu Jobs")
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        """Resume it for this scene, with the panel's options for the scene."""
        current = session()
        found = next((item for item in current.jobs if item.status.job == self.job), None)
        if found is None:
            self.report({"ERROR"}, "The backend has no such capture. Choose one in the menu Jobs.")
            return {"CANCELLED"}
        again = found.status.state in (JobState.FAILED, JobState.CANCELLED)
        try:
            asked, current.error = picked_up(context, found.options), None
            current.resume(Running(self.job, asked, found.status.attempt + 1 if again else 0))
        except MienError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return wait_for(self, self.job) if self.wait else {"FINISHED"}


def picked_up(context: Any, options: Any) -> Request:
    """A request for a capture that was begun before: its options, and the panel's for the scene."""
    return replace(request_from(context.scene.mien, context, options.source), options=options)


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


CLASSES = (
    MIEN_OT_capture_face,
    MIEN_OT_capture_performance,
    MIEN_OT_cancel,
    MIEN_OT_list_jobs,
    MIEN_OT_pick_up,
    MIEN_OT_tell,
)
