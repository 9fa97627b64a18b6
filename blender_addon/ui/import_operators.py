# SPDX-License-Identifier: GPL-3.0-or-later
"""Take files into the scene: chosen, dropped, or by a script."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import bpy
from bpy.props import CollectionProperty, EnumProperty, StringProperty
from bpy_extras.io_utils import ImportHelper

from ..animation.apply import ApplyOptions
from ..contract.errors import MienError
from ..contract.take import Take
from ..rig import names
from .active_head import active_head
from .asking import scene_options
from .importing import Waiting, build, label_of, put_on
from .session import session
from .takes import list_take, start_of


class MIEN_OT_import_take(bpy.types.Operator, ImportHelper):
    """Put take files, such as those of a farm, into the list, onto a head"""

    bl_idname = "mien.import_take"
    bl_label = "Import Take"
    bl_options = {"REGISTER"}  # what waits for its head becomes an undo step when that is there

    filepath: StringProperty(
        name="Take", description="A .take.npz; without one the file browser opens", subtype="FILE_PATH",
        options={"SKIP_SAVE"},
    )  # fmt: skip
    files: CollectionProperty(
        name="Files",
        description="Several takes of one folder, in the file browser",
        type=bpy.types.OperatorFileListElement,
        options={"SKIP_SAVE", "HIDDEN"},
    )
    to: EnumProperty(
        name="Onto",
        description="Which head performs it",
        items=[
            (
                "AUTO",
                "Active or New",
                "The active head if it is of the same kind and one take is imported, else a new one",
            ),
            ("NEW", "New Head", "A new head with the take's own shape"),
            ("NONE", "List Only", "None yet; Apply to Head puts it on one"),
        ],
    )
    filter_glob: StringProperty(default="*.npz", options={"HIDDEN"})

    def invoke(self, context: Any, event: Any) -> set[str]:
        """Open the file browser, unless files were dropped."""
        if self.filepath and os.path.isfile(self.filepath):
            return self.execute(context)
        return ImportHelper.invoke(self, context, event)

    def execute(self, context: Any) -> set[str]:
        """Import them; one that cannot be read is told and does not stop the others."""
        folder = os.path.dirname(self.filepath)
        paths = [os.path.join(folder, item.name) for item in self.files if item.name] or [self.filepath]
        done, before = 0, len(context.scene.mien.takes)
        for path in dict.fromkeys(map(bpy.path.abspath, paths)):
            try:
                for warning in self._import(context, path, alone=len(paths) == 1):
                    self.report({"WARNING"}, warning)
                done += 1
            except MienError as error:
                self.report({"ERROR"}, str(error))
        if len(context.scene.mien.takes) > before:
            bpy.ops.ed.undo_push(message=self.bl_label)
        return {"FINISHED"} if done else {"CANCELLED"}

    def _import(self, context: Any, path: str, alone: bool) -> tuple[str, ...]:
        take, scene, settings = Take.load(path), context.scene, context.scene.mien
        start = start_of(settings, scene, take)
        if self.to == "NONE":
            list_take(scene, take, path, label_of(take, path))
            return ()
        active = active_head(context)
        if self.to == "AUTO" and alone and active and active[names.HEAD_SHA256] == take.meta.head_sha256:
            options = ApplyOptions(start, settings.timing, settings.neck_share, path)
            return put_on(active, take, path, scene, options)
        options = replace(scene_options(settings, start), take_files=(path,))
        head = session().client().head(take.meta.head_sha256)
        if head is not None:
            return build(take, path, head, scene, options)
        session().imports.add(session().client(), Waiting(take, path, scene.session_uid, options))
        session().stay_awake()
        self.report({"INFO"}, f"{os.path.basename(path)} appears when its head has arrived from the backend")
        return ()


class MIEN_FH_take(bpy.types.FileHandler):
    """A take of a face"""

    bl_idname = "MIEN_FH_take"
    bl_label = "Face Take"
    bl_import_operator = "mien.import_take"
    bl_file_extensions = ".npz"

    @classmethod
    def poll_drop(cls, context: Any) -> bool:
        """Only onto the 3D view."""
        return context.area is not None and context.area.type == "VIEW_3D"


CLASSES = (MIEN_OT_import_take, MIEN_FH_take)
