# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators on the chosen take: apply, push to the NLA, smooth, look at its gaps, capture again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import bpy
from bpy.props import BoolProperty, FloatProperty

from ..animation.apply import ApplyOptions, apply_take
from ..animation.nla import push_to_nla, scene_frame
from ..contract.errors import ErrorCode, MienError
from ..contract.take import Take
from ..rig import names
from . import smoothing
from .active_head import active_head, has_head
from .asking import engine_options, reusing, scene_options
from .request import Request
from .session import session
from .takes import active_take, backgrounds, performance, shows_overlay, start_of

_OVERLAY_ALPHA = 0.5
_PLAIN = {"weights": "", "identity": "engine", "eyelid_space": "rest", "displacement": 1}
"""Options that not every engine has, as they are for those that do not."""


def has_take(cls: Any, context: Any) -> bool:
    """Poll for operators on the chosen take."""
    if active_take(context) is None:
        cls.poll_message_set("Capture a face first")
        return False
    return True


def is_playing(cls: Any, context: Any) -> bool:
    """Poll for operators on a take that a head plays."""
    if not has_take(cls, context):
        return False
    if performance(context) is None:
        cls.poll_message_set("No head plays this take; select a head and press Apply to Head")
        return False
    return True


class MIEN_OT_apply_take(bpy.types.Operator):
    """Key the chosen take on the active head, where the capture's options say"""

    bl_idname = "mien.apply_take"
    bl_label = "Apply to Head"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        """A take and a head of the same kind."""
        if not has_take(cls, context) or not has_head(cls, context):
            return False
        if active_head(context)[names.HEAD_SHA256] != active_take(context).head_sha256:
            remedy = "convert it with mien convert, or capture its source again with this head"
            cls.poll_message_set(f"This take belongs to another kind of head; {remedy}")
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        """Apply it."""
        item, settings, scene = active_take(context), context.scene.mien, context.scene
        try:
            take = Take.load(item.path)
            options = ApplyOptions(start_of(settings, scene, take), settings.timing, settings.neck_share, item.path)
            applied = apply_take(active_head(context), take, scene, options)
        except MienError as error:
            gone = error.code is ErrorCode.MISSING_FILE  # the scene came from another computer, or the file was deleted
            self.report({"ERROR"}, f"{error.message} Capture the face again." if gone else str(error))
            return {"CANCELLED"}
        smoothing.apply(item)  # the file has the smoothing of the capture
        for warning in applied.warnings:
            self.report({"WARNING"}, warning)
        return {"FINISHED"}


class MIEN_OT_remove_take(bpy.types.Operator):
    """Take this entry off the list; heads and actions stay"""

    bl_idname = "mien.remove_take"
    bl_label = "Remove Take"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        """Only when there is one."""
        if not context.scene.mien.takes:
            cls.poll_message_set("The list has no takes")
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        """Remove it."""
        settings = context.scene.mien
        settings.takes.remove(settings.active_take)
        settings.active_take = max(0, min(settings.active_take, len(settings.takes) - 1))
        return {"FINISHED"}


class MIEN_OT_push_to_nla(bpy.types.Operator):
    """Push the take's action down to a strip of the nonlinear animation"""

    bl_idname = "mien.push_to_nla"
    bl_label = "Push to NLA"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        """A head that plays the take."""
        return is_playing(cls, context)

    def execute(self, context: Any) -> set[str]:
        """Push it."""
        try:
            strips = push_to_nla(performance(context)[0])
        except MienError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.report({"INFO"}, f"Pushed to {', '.join(strips)}")
        return {"FINISHED"}


class MIEN_OT_smooth_take(bpy.types.Operator):
    """Smooth the chosen take's curves; for scripts, the panel has a slider"""

    bl_idname = "mien.smooth_take"
    bl_label = "Smooth Take"
    bl_options = {"REGISTER", "UNDO"}

    strength: FloatProperty(
        name="Smoothing", description="How much, 0 for none to 1", default=0.5, min=0.0, max=1.0, subtype="FACTOR"
    )
    force: BoolProperty(name="Overwrite Edits", description="Also where the curves were edited by hand", default=False)

    @classmethod
    def poll(cls, context: Any) -> bool:
        """A head that plays the take."""
        return is_playing(cls, context)

    def execute(self, context: Any) -> set[str]:
        """Smooth it."""
        item = active_take(context)
        item.smoothing = self.strength
        smoothing.apply(item, force=self.force)
        if error := smoothing.problem_of(item):
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


class MIEN_OT_smooth_again(bpy.types.Operator):
    """Write the curves anew as the sliders say; edits made by hand are lost"""

    bl_idname = "mien.smooth_again"
    bl_label = "Overwrite Edits"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        """A head that plays the take."""
        return is_playing(cls, context)

    def execute(self, context: Any) -> set[str]:
        """Overwrite them."""
        return set(bpy.ops.mien.smooth_take(strength=active_take(context).smoothing, force=True))


class MIEN_OT_jump_to_gap(bpy.types.Operator):
    """Go to the next gap or cut of the take"""

    bl_idname = "mien.jump_to_gap"
    bl_label = "Jump to Gap"
    bl_options = {"REGISTER", "UNDO"}

    forward: BoolProperty(name="Forward", description="To the next one; otherwise to the one before", default=True)

    @classmethod
    def poll(cls, context: Any) -> bool:
        """A head that plays a take with gaps or cuts."""
        if not is_playing(cls, context):
            return False
        _, _, found = performance(context)
        if not (found.gaps or found.cuts):
            cls.poll_message_set("This take has no gaps and no cuts")
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        """Set the scene's frame; after the last place comes the first."""
        head, action, found = performance(context)
        frames = {first for first, _ in found.gaps} | set(found.cuts)
        places = sorted({round(scene_frame(head, action, frame)) for frame in frames})
        context.scene.frame_set(next_place(places, context.scene.frame_current, self.forward))
        return {"FINISHED"}


def next_place(places: Sequence[int], frame: int, forward: bool) -> int:
    """The place after or before a frame; round at the ends."""
    if forward:
        return next((place for place in places if place > frame), places[0])
    return next((place for place in reversed(places) if place < frame), places[-1])


class MIEN_OT_show_overlay(bpy.types.Operator):
    """Lay the footage over the head in the camera's view, half transparent, to see how they line up"""

    bl_idname = "mien.show_overlay"
    bl_label = "Show Overlay"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        """A camera with something behind it."""
        if not backgrounds(context):
            cls.poll_message_set("The scene's camera has no photo or clip behind it; make the capture's camera active")
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        """Bring it to the front, or back."""
        over = not shows_overlay(context)
        for item in backgrounds(context):
            item.display_depth = "FRONT" if over else "BACK"
            item.alpha = _OVERLAY_ALPHA if over else 1.0
        context.scene.camera.data.show_background_images = True
        return {"FINISHED"}


class MIEN_OT_capture_again(bpy.types.Operator):
    """Capture the take's source again as it was, with the panel's engine, focal length and options"""

    bl_idname = "mien.capture_again"
    bl_label = "Re-Capture"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        """A take that knows where it came from."""
        if not has_take(cls, context):
            return False
        if not active_take(context).request:
            cls.poll_message_set("This take was recorded live or imported; no source of it can be captured again here")
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        """Start the capture; a head that plays the take gets the new one if the panel says so."""
        settings, item = context.scene.mien, active_take(context)
        head = active_head(context) if settings.reuse_head else None
        try:
            before = Request.from_json(json.loads(item.request), context.scene.session_uid)
            options = replace(
                before.options,
                **{**_PLAIN, **engine_options(settings)},
                focal_mm=None if settings.focal_auto else settings.focal_mm,
                smoothing=round(item.smoothing, 4),
            )
            start = before.scene_options.start
            into = scene_options(settings, context.scene.frame_current if start is None else start)
            session().capture(Request(options, before.scene, into, settings.look_through, **reusing(head)))
        except MienError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


CLASSES = (
    MIEN_OT_apply_take,
    MIEN_OT_remove_take,
    MIEN_OT_push_to_nla,
    MIEN_OT_smooth_take,
    MIEN_OT_smooth_again,
    MIEN_OT_jump_to_gap,
    MIEN_OT_show_overlay,
    MIEN_OT_capture_again,
)
