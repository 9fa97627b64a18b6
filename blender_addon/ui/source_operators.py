# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators around the source: choose a file, take one from the scene, people, references."""

from __future__ import annotations

import os
from typing import Any

import bpy
from bpy.props import BoolProperty, CollectionProperty, EnumProperty, IntProperty, StringProperty
from bpy_extras.io_utils import ImportHelper

from . import scene_source, sequences
from .facts import Facts, facts_now, shown_path
from .kinds import SOURCE_SUFFIXES

_FILTER = ";".join(f"*{suffix}" for suffix in SOURCE_SUFFIXES)


def refusal(source: str, found: Facts) -> str:
    """Why a source cannot be used, and what to do."""
    return f"{shown_path(source)}: {found.text}. Choose a photo, a clip or a folder of numbered images of a face."


class MIEN_OT_choose_source(bpy.types.Operator, ImportHelper):
    """Choose a photo, a clip or a folder of numbered images"""

    bl_idname = "mien.choose_source"
    bl_label = "Choose Source"
    bl_options = {"REGISTER", "UNDO"}

    filepath: StringProperty(
        name="Source",
        description="Photo, clip, folder or pattern such as shot.####.png; without one the file browser opens",
        subtype="FILE_PATH",
        options={"SKIP_SAVE"},  # a path of the last time would count as dropped, and the browser would not open
    )
    as_sequence: BoolProperty(
        name="Image Sequence",
        description="Take all images of the same numbering, as a clip",
        default=False,
        options={"SKIP_SAVE"},
    )
    filter_glob: StringProperty(default=_FILTER, options={"HIDDEN"})

    def invoke(self, context: Any, event: Any) -> set[str]:
        """Open the file browser, unless a file was dropped."""
        if self.filepath and os.path.exists(self.filepath):
            return self.execute(context)
        self.filepath = bpy.path.abspath(context.scene.mien.source)  # so that the browser opens where it is
        return ImportHelper.invoke(self, context, event)

    def execute(self, context: Any) -> set[str]:
        """Take the file."""
        source = self.filepath
        if self.as_sequence and not os.path.isdir(source):
            source = sequences.pattern_of(source) or source
        found = facts_now(source)
        if found.problem:
            self.report({"ERROR"}, refusal(source, found))
            return {"CANCELLED"}
        take_source(context, source)
        button = "Capture Performance" if found.kind.moves else "Capture Face"
        name = os.path.basename(source.rstrip("/\\"))
        self.report({"INFO"}, f"Press {button} in the sidebar tab Mien to capture {name}")
        return {"FINISHED"}


def take_source(context: Any, source: str) -> None:
    """Let the panel have another source, all of it."""
    settings = context.scene.mien
    settings.source = source
    settings.face, settings.all_faces = 1, False
    if context.area is not None:
        context.area.tag_redraw()


class MIEN_OT_source_from_scene(bpy.types.Operator):
    """Capture a clip that is in the scene already, with the part of it that the scene shows"""

    bl_idname = "mien.source_from_scene"
    bl_label = "From Scene"
    bl_options = {"REGISTER", "UNDO"}

    kind: EnumProperty(
        name="Kind",
        description="Where the clip is",
        items=[
            ("CAMERA", "Camera", "Behind the scene's camera"),
            ("CLIP", "Clip", "A movie clip of the file"),
            ("STRIP", "Strip", "A selected strip of the sequencer"),
        ],
    )
    clip: StringProperty(name="Clip", description="Name of the clip or strip; the active strip if empty")

    def execute(self, context: Any) -> set[str]:
        """Take the clip, its range and its place in the scene."""
        found = scene_source.find(context.scene, self.kind, self.clip)
        if found is None:
            self.report({"ERROR"}, "The scene has no such clip. Select a strip or choose a file.")
            return {"CANCELLED"}
        known = facts_now(found.path)
        if known.problem:
            self.report({"ERROR"}, refusal(found.path, known))
            return {"CANCELLED"}
        take_source(context, found.path)
        settings = context.scene.mien
        if found.first is not None:
            settings.use_range, settings.range_first = True, found.first
            settings.range_last = known.last if found.last is None else found.last
        if found.start is not None:
            settings.scene_shift = found.start - (known.first if found.first is None else found.first)
            settings.start_mode = "SCENE"
        return {"FINISHED"}


class MIEN_OT_choose_face(bpy.types.Operator):
    """Capture this face or person, counted from the most prominent"""

    bl_idname = "mien.choose_face"
    bl_label = "Choose Face"
    bl_options = {"REGISTER", "UNDO"}

    face: IntProperty(
        name="Face", description="Which one, counted from the most prominent; 0 for all", default=1, min=0
    )

    def execute(self, context: Any) -> set[str]:
        """Set the panel's face."""
        settings = context.scene.mien
        settings.all_faces = self.face == 0
        settings.face = max(self.face, 1)
        return {"FINISHED"}


class MIEN_OT_add_reference(bpy.types.Operator, ImportHelper):
    """Add photos or clips of the same person"""

    bl_idname = "mien.add_reference"
    bl_label = "Add Reference"
    bl_options = {"REGISTER", "UNDO"}

    filepath: StringProperty(name="File", description="Photo or clip", subtype="FILE_PATH", options={"SKIP_SAVE"})
    files: CollectionProperty(
        name="Files",
        description="Several photos or clips of one folder, in the file browser",
        type=bpy.types.OperatorFileListElement,
        options={"SKIP_SAVE", "HIDDEN"},
    )
    filter_glob: StringProperty(default=_FILTER, options={"HIDDEN"})

    def execute(self, context: Any) -> set[str]:
        """Add them."""
        folder = os.path.dirname(self.filepath)
        paths = [os.path.join(folder, item.name) for item in self.files if item.name] or [self.filepath]
        settings = context.scene.mien
        for path in paths:
            found = facts_now(path)
            if found.problem:
                self.report({"ERROR"}, refusal(path, found))
                return {"CANCELLED"}
        known = [item.path for item in settings.references]
        for path in dict.fromkeys(paths):
            if path not in known:
                settings.references.add().path = path
        settings.active_reference = len(settings.references) - 1
        return {"FINISHED"}


class MIEN_OT_remove_reference(bpy.types.Operator):
    """Take this file off the list"""

    bl_idname = "mien.remove_reference"
    bl_label = "Remove Reference"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        """Only when there is one."""
        if not context.scene.mien.references:
            cls.poll_message_set("The list has no references")
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        """Remove it."""
        settings = context.scene.mien
        settings.references.remove(settings.active_reference)
        settings.active_reference = max(0, min(settings.active_reference, len(settings.references) - 1))
        return {"FINISHED"}


CLASSES = (
    MIEN_OT_choose_source,
    MIEN_OT_source_from_scene,
    MIEN_OT_choose_face,
    MIEN_OT_add_reference,
    MIEN_OT_remove_reference,
)
