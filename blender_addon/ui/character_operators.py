# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators of the section "Send to Character"."""

from __future__ import annotations

from typing import Any

import bpy
from bpy.props import BoolProperty, StringProperty

from ..animation.nla import scene_frame
from ..character.actions import clear_sent, no_take, sent_actions
from ..character.apply import SendOptions, send_take
from ..character.profile import Profile
from ..character.profile_file import load_profile, save_profile
from ..character.sources import labels
from ..character.targets import forget
from ..contract.errors import ErrorCode, MienError
from . import character_state, smoothing
from .character_properties import ensure_rows, profile_of, put_profile
from .character_state import character_problem, chosen_character, hint
from .take_operators import has_take
from .takes import active_take, start_of

_SUFFIX = ".json"


def _has_character(cls: Any, context: Any) -> bool:
    if problem := character_problem(context):
        cls.poll_message_set(problem)
        return False
    return True


def _named(context: Any, name: str) -> Any | None:
    """The object of a name that a script gives; None for the panel's.

    Raises:
        MienError: USAGE when there is none.
    """
    item = context.scene.objects.get(name) if name else None
    if name and item is None:
        raise MienError(ErrorCode.USAGE, f"There is no object '{name}' in the scene.", "Check its name.")
    return item


class MIEN_OT_send_take(bpy.types.Operator):
    """Key the chosen take on the character, where the head that performs it has it"""

    bl_idname = "mien.send_take"
    bl_label = "Send Take"
    bl_options = {"REGISTER", "UNDO"}

    character: StringProperty(
        name="Character", description="Name of the face or rig; the panel's if empty", options={"SKIP_SAVE"}
    )
    profile: StringProperty(
        name="Profile", description="File of a profile; the panel's if empty", subtype="FILE_PATH",
        options={"SKIP_SAVE"},
    )  # fmt: skip

    @classmethod
    def poll(cls, context: Any) -> bool:
        """A take; what is wrong with the character is said by the panel, and when it is sent."""
        return has_take(cls, context)

    def execute(self, context: Any) -> set[str]:
        """Send it."""
        item, scene = active_take(context), context.scene
        forget()
        try:
            character = chosen_character(scene, context.view_layer, _named(context, self.character))
            sent = send_take(character, smoothing.smoothed(item), self._chosen(scene), scene, _options(item, scene))
        except MienError as error:
            gone = error.code is ErrorCode.MISSING_FILE and not self.profile
            self.report({"ERROR"}, f"{error.message} Capture the face again." if gone else str(error))
            return {"CANCELLED"}
        character_state.forget()
        for warning in sent.warnings:
            self.report({"WARNING"}, warning)
        self.report({"INFO"}, _summary(sent))
        return {"FINISHED"}

    def _chosen(self, scene: Any) -> Profile:
        return load_profile(bpy.path.abspath(self.profile)) if self.profile else profile_of(scene.mien.character)


def _options(item: Any, scene: Any) -> SendOptions:
    """Where a head performs the take, also in a strip that was moved or stretched; else where the options say."""
    for head, action, record in smoothing.playing(item):
        start = scene_frame(head, action, record.start)
        stretch = scene_frame(head, action, record.start + 1.0) - start
        timing = record.timing if stretch == 1.0 and start.is_integer() else "source"
        return SendOptions(start, timing, record.rate * stretch, item.path, *smoothing.sliders(item))
    settings = scene.mien
    start = start_of(settings, scene, smoothing.load(item))
    return SendOptions(start, settings.timing, None, item.path, *smoothing.sliders(item))


def _summary(sent: Any) -> str:
    parts = [f"{sent.keys} shape keys" if sent.keys else "", f"{sent.bones} bones" if sent.bones else ""]
    text = f"'{sent.action}' animates {' and '.join(part for part in parts if part)}"
    return f"{text}; missing: {labels(sent.missing)}" if sent.missing else text


class MIEN_OT_follow_live(bpy.types.Operator):
    """Let the character follow a live capture while one runs, or no longer"""

    bl_idname = "mien.follow_live"
    bl_label = "Live"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        """A character, unless it follows already."""
        return context.scene.mien.character.live or _has_character(cls, context)

    def execute(self, context: Any) -> set[str]:
        """Switch it."""
        settings = context.scene.mien.character
        settings.live = not settings.live
        return {"FINISHED"}


class MIEN_OT_clear_character(bpy.types.Operator):
    """Take away the take that the character plays, and put what it animated back to rest"""

    bl_idname = "mien.clear_character"
    bl_label = "Clear"
    bl_options = {"REGISTER", "UNDO"}

    character: StringProperty(
        name="Character", description="Name of the face or rig; the panel's if empty", options={"SKIP_SAVE"}
    )

    @classmethod
    def poll(cls, context: Any) -> bool:
        """A character, which may be named by the script."""
        try:
            character = chosen_character(context.scene, context.view_layer)
        except MienError:
            return True  # which is said when it runs
        if sent_actions(character):
            return True
        cls.poll_message_set(hint(no_take(character)))
        return False

    def execute(self, context: Any) -> set[str]:
        """Clear it."""
        try:
            clear_sent(chosen_character(context.scene, context.view_layer, _named(context, self.character)))
        except MienError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        character_state.forget()
        return {"FINISHED"}


class MIEN_OT_save_profile(bpy.types.Operator):
    """Save the list of channels as a profile, for other characters and people"""

    bl_idname = "mien.save_profile"
    bl_label = "Save Profile"
    bl_options = {"REGISTER"}

    filepath: StringProperty(name="File", description="Where to save it", subtype="FILE_PATH")
    filter_glob: StringProperty(default=f"*{_SUFFIX}", options={"HIDDEN"})
    check_existing: BoolProperty(default=True, options={"HIDDEN"})

    def invoke(self, context: Any, event: Any) -> set[str]:
        """Ask for a file."""
        self.filepath = f"{bpy.path.clean_name(context.scene.mien.character.name)}{_SUFFIX}"
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: Any) -> set[str]:
        """Save it."""
        settings = context.scene.mien.character
        path = bpy.path.ensure_ext(bpy.path.abspath(self.filepath), _SUFFIX)
        try:
            ensure_rows(settings)
            save_profile(path, profile_of(settings))
        except MienError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.report({"INFO"}, f"Saved {path}")
        return {"FINISHED"}


class MIEN_OT_load_profile(bpy.types.Operator):
    """Load a profile into the list of channels"""

    bl_idname = "mien.load_profile"
    bl_label = "Load Profile"
    bl_options = {"REGISTER", "UNDO"}

    filepath: StringProperty(name="File", description="Profile to load", subtype="FILE_PATH", options={"SKIP_SAVE"})
    filter_glob: StringProperty(default=f"*{_SUFFIX}", options={"HIDDEN"})

    def invoke(self, context: Any, event: Any) -> set[str]:
        """Ask for a file."""
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: Any) -> set[str]:
        """Load it."""
        settings = context.scene.mien.character
        try:
            profile = load_profile(bpy.path.abspath(self.filepath))
        except MienError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        settings.profile = "FILE"
        put_profile(settings, profile)
        return {"FINISHED"}


CLASSES = (
    MIEN_OT_send_take,
    MIEN_OT_follow_live,
    MIEN_OT_clear_character,
    MIEN_OT_save_profile,
    MIEN_OT_load_profile,
)
