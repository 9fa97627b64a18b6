# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators that export heads and takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
from bpy.props import BoolProperty, EnumProperty, StringProperty
from bpy_extras.io_utils import ExportHelper

from ..animation.head import parts_of
from ..contract.errors import ErrorCode, MienError
from ..contract.exporting import to_file_name
from ..exports.formats import SCENE_EXPORTS
from ..rig import names
from . import smoothing
from .active_head import NO_HEAD, active_head
from .export_properties import HEAD_FORMATS, chosen_formats
from .exporting import HeadTask
from .session import session
from .take_operators import has_take
from .takes import active_take


class _ToFile(ExportHelper):
    """What both exports share: a path, from a script or from the file browser."""

    filename_ext = ""
    check_extension = None

    wait: BoolProperty(
        name="Wait",
        description="Come back when the files are written; for scripts",
        default=False,
        options={"SKIP_SAVE", "HIDDEN"},
    )

    def finish(self) -> set[str]:
        """Wait if that is wished."""
        current = session()
        current.stay_awake()
        if self.wait:
            current.wait(lambda: not current.exports.running)
            if current.exports.problems:
                self.report({"ERROR"}, " ".join(map(str, current.exports.problems)))
                return {"CANCELLED"}
        return {"FINISHED"}


class MIEN_OT_export_head(bpy.types.Operator, _ToFile):
    """Write the active head with its performance and camera for other programs; the scene stays as it is"""

    bl_idname = "mien.export_head"
    bl_label = "Export Head"
    bl_options = {"REGISTER"}

    filepath: StringProperty(
        name="File",
        description="Where to; each format adds its own suffix",
        subtype="FILE_PATH",
        options={"SKIP_SAVE"},
    )
    formats: EnumProperty(
        name="Formats",
        description="What to write; the panel's choice if empty",
        items=HEAD_FORMATS,
        options={"ENUM_FLAG", "SKIP_SAVE"},
    )
    all_selected: BoolProperty(
        name="All Selected", description="All selected heads into each file, not the active one only", default=False
    )

    @classmethod
    def poll(cls, context: Any) -> bool:
        """A head."""
        if active_head(context) is None:
            cls.poll_message_set(NO_HEAD)
            return False
        return True

    def invoke(self, context: Any, event: Any) -> set[str]:
        """Open the file browser."""
        self.formats = self.formats or chosen_formats(context.scene.mien.export)
        if not self.formats:
            self.report({"ERROR"}, "No format is chosen. Choose one or more above the button.")
            return {"CANCELLED"}
        only = next(iter(self.formats)) if len(self.formats) == 1 else None  # whose file the browser can look for
        suffix = SCENE_EXPORTS[only].suffix if only else ""
        self.filepath = self.filepath or f"{to_file_name(active_head(context).name)}{suffix}"
        return ExportHelper.invoke(self, context, event)

    def draw(self, context: Any) -> None:
        """Draw the choices beside the file browser, one format in a line."""
        self.layout.column(align=True).prop(self, "formats", expand=True)
        self.layout.prop(self, "all_selected")

    def execute(self, context: Any) -> set[str]:
        """Write them, one after the other."""
        wanted = self.formats or chosen_formats(context.scene.mien.export)
        chosen = [name for name in SCENE_EXPORTS if name in wanted]
        meshes = self._meshes(context)
        try:
            for mesh in meshes:
                parts_of(mesh)
            paths = _paths(self.filepath, chosen)
        except MienError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        heads = tuple(mesh.session_uid for mesh in meshes)
        tasks = [HeadTask(name, path, context.scene.session_uid, heads) for name, path in paths.items()]
        session().exports.add_heads(tasks)
        return self.finish()

    def _meshes(self, context: Any) -> list[Any]:
        active = active_head(context)
        if not self.all_selected:
            return [active]
        return [active, *(item for item in names.heads(context.selected_objects) if item != active)]


def _paths(filepath: str, formats: list[str]) -> dict[str, Path]:
    path = Path(bpy.path.abspath(filepath))
    if not filepath or not path.name:
        raise MienError(ErrorCode.USAGE, "No file is named.", "Choose a folder and type a name.")
    if not formats:
        raise MienError(ErrorCode.USAGE, "No format is chosen.", "Choose one or more formats.")
    known = [item.suffix for item in SCENE_EXPORTS.values()]
    stem = path.name.removesuffix(path.suffix) if path.suffix.lower() in known else path.name
    return {name: path.with_name(f"{stem}{SCENE_EXPORTS[name].suffix}") for name in formats}


class MIEN_OT_export_take(bpy.types.Operator, _ToFile):
    """Write the chosen take, as its sliders smooth it, in a format of other programs; the backend does it"""

    bl_idname = "mien.export_take"
    bl_label = "Export Take"
    bl_options = {"REGISTER"}

    filepath: StringProperty(name="File", description="Where to", subtype="FILE_PATH", options={"SKIP_SAVE"})
    format: StringProperty(
        name="Format",
        description="Name of the format, such as npz; the panel's choice if empty",
        options={"SKIP_SAVE"},
    )

    @classmethod
    def poll(cls, context: Any) -> bool:
        """A take, and a backend to write it."""
        if not has_take(cls, context):
            return False
        if problem := session().client_error:
            cls.poll_message_set(str(problem))
            return False
        return True

    def invoke(self, context: Any, event: Any) -> set[str]:
        """Open the file browser."""
        self.format = self.format or context.scene.mien.export.take_format
        suffix = session().exports.suffix(self.format)
        self.filepath = self.filepath or f"{to_file_name(active_take(context).name)}{suffix}"
        return ExportHelper.invoke(self, context, event)

    def execute(self, context: Any) -> set[str]:
        """Ask the backend for it."""
        name = self.format or context.scene.mien.export.take_format
        path = Path(bpy.path.abspath(self.filepath))
        try:
            if not self.filepath or not path.name:
                raise MienError(ErrorCode.USAGE, "No file is named.", "Choose a folder and type a name.")
            current = session()
            current.exports.add_take(current.client(), smoothing.smoothed(active_take(context)), name, path)
        except MienError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return self.finish()


class MIEN_OT_cancel_export(bpy.types.Operator):
    """Write no further formats; files that are done stay"""

    bl_idname = "mien.cancel_export"
    bl_label = "Cancel Export"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        """Only while one runs."""
        if not session().exports.running:
            cls.poll_message_set("No export is running")
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        """Cancel them."""
        session().exports.cancel(session().present_client)
        return {"FINISHED"}


CLASSES = (MIEN_OT_export_head, MIEN_OT_export_take, MIEN_OT_cancel_export)
