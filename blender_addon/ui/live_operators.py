# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators of a live capture."""

from __future__ import annotations

from typing import Any

import bpy
from bpy.props import EnumProperty, IntProperty, StringProperty

from ..contract.errors import MienError
from ..contract.messages import LiveAction
from .asking import live_request
from .facts import facts_now
from .session import session
from .source_operators import refusal, take_source


def _is_live(cls: Any) -> bool:
    if session().live is None:
        cls.poll_message_set("No live capture is running; press Start Live")
        return False
    return True


def _control(operator: Any, action: LiveAction) -> set[str]:
    try:
        session().control_live(action)
    except MienError as error:
        operator.report({"ERROR"}, str(error))
        return {"CANCELLED"}
    return {"FINISHED"}


class MIEN_OT_start_live(bpy.types.Operator):
    """Let a camera, or the chosen clip played as one, drive the active head, or a temporary one"""

    bl_idname = "mien.start_live"
    bl_label = "Start Live"
    bl_options = {"REGISTER"}

    live_from: EnumProperty(
        name="Live From",
        description="What drives the head",
        items=[
            ("PANEL", "Panel", "What the panel says"),
            ("CAMERA", "Camera", "A camera of the computer that runs the backend"),
            ("FILE", "Source", "The chosen clip, played as if it were a camera"),
        ],
        options={"SKIP_SAVE"},
    )
    device: IntProperty(
        name="Device", description="Number of the camera; the panel's if -1", default=-1, min=-1, max=99,
        options={"SKIP_SAVE"},
    )  # fmt: skip
    filepath: StringProperty(
        name="Clip", description="Clip to play as a camera; the panel's source if empty", subtype="FILE_PATH",
        options={"SKIP_SAVE"},
    )  # fmt: skip

    @classmethod
    def poll(cls, context: Any) -> bool:
        """One at a time."""
        if session().live is not None:
            cls.poll_message_set("A live capture is running; stop it first")
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        """Start it."""
        settings = context.scene.mien
        if self.live_from != "PANEL":
            settings.live_from = self.live_from
        if self.device >= 0:
            settings.live_device = self.device
        if settings.live_from == "FILE":
            source = bpy.path.abspath(self.filepath or settings.source)
            found = facts_now(source) if source else None
            if found is None or found.problem or not found.kind.moves:
                said = refusal(source, found) if found and found.problem else "A live capture needs a clip. Choose one."
                self.report({"ERROR"}, said)
                return {"CANCELLED"}
            if self.filepath:
                take_source(context, source)
        try:
            session().capture(live_request(settings, context))
        except MienError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


class MIEN_OT_stop_live(bpy.types.Operator):
    """End the live capture; its recordings become takes"""

    bl_idname = "mien.stop_live"
    bl_label = "Stop Live"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        """Only while it runs."""
        return _is_live(cls)

    def execute(self, context: Any) -> set[str]:
        """End it; one that does not follow anything yet has nothing to keep."""
        live = session().live
        if live.progress is None or live.progress.frames is None:
            session().cancel(live.job)
            return {"FINISHED"}
        return _control(self, LiveAction.END)


class MIEN_OT_live_neutral(bpy.types.Operator):
    """Take the face of the next second as the neutral one: look straight ahead and relax"""

    bl_idname = "mien.live_neutral"
    bl_label = "Neutral Pose"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        """Only while it runs."""
        return _is_live(cls)

    def execute(self, context: Any) -> set[str]:
        """Begin to measure."""
        self.report({"INFO"}, "Hold a relaxed face for one second")
        return _control(self, LiveAction.NEUTRAL)


class MIEN_OT_forget_neutral(bpy.types.Operator):
    """Forget the neutral pose and show the face as it is seen"""

    bl_idname = "mien.forget_neutral"
    bl_label = "Forget Neutral"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        """Only while it runs."""
        return _is_live(cls)

    def execute(self, context: Any) -> set[str]:
        """Forget it."""
        return _control(self, LiveAction.FORGET_NEUTRAL)


class MIEN_OT_live_record(bpy.types.Operator):
    """Begin a recording, or end the one that runs; it becomes a take when the live capture is stopped"""

    bl_idname = "mien.live_record"
    bl_label = "Record"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        """Only while it runs."""
        return _is_live(cls)

    def execute(self, context: Any) -> set[str]:
        """Begin or end it."""
        return _control(self, LiveAction.STOP_RECORDING if session().live.recording else LiveAction.RECORD)


CLASSES = (
    MIEN_OT_start_live,
    MIEN_OT_stop_live,
    MIEN_OT_live_neutral,
    MIEN_OT_forget_neutral,
    MIEN_OT_live_record,
)
