# SPDX-License-Identifier: GPL-3.0-or-later
"""The section "Face": sliders by region, the person's right on the left as one sees the face."""

from __future__ import annotations

from typing import Any

import bpy

from ..rig import names
from ..rig.armature import rig_of, rotation_property
from ..rig.regions import BONE_LABELS, BONES, Control, Region, controls
from .active_head import active_head
from .panel_base import draw_lines, line_width

_LABEL_SHARE = 0.36
_MOST_COMPONENTS = 10
_AXES = {
    "root": ("Nod", "Turn", "Tilt"),
    "neck": ("Nod", "Turn", "Tilt"),
    "jaw": ("Open", "Roll", "Sideways"),
    "eye.L": ("Up Down", "Roll", "Sideways"),
    "eye.R": ("Up Down", "Roll", "Sideways"),
}
"""What a turn about a bone's own x, y and z does."""


class MIEN_PT_face(bpy.types.Panel):
    """Controls of the active head"""

    bl_label = "Face"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Mien"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        """Only for a head."""
        return active_head(context) is not None

    def draw(self, context: Any) -> None:
        """Say whose face it is; the regions are panels of their own."""
        head = active_head(context)
        self.layout.label(text=head.name, icon="USER")
        if head[names.COMMERCIAL_USE] != "yes":
            self.layout.label(text=f"Licence: {head[names.HEAD_LICENCE]}", icon="ERROR")
        if any(names.is_identity_key(name) for name in _key_names(head)):
            self.layout.operator("mien.update_joints")


class _RegionPanel:
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Mien"
    bl_parent_id = "MIEN_PT_face"
    bl_options = {"DEFAULT_CLOSED"}
    region: Region

    @classmethod
    def poll(cls, context: Any) -> bool:
        """Only for a head that has such controls."""
        head = active_head(context)
        return head is not None and cls.region in controls(_key_names(head))

    def draw_header_preset(self, context: Any) -> None:
        """Draw reset and key buttons."""
        row = self.layout.row(align=True)
        row.operator("mien.reset_region", text="", icon="LOOP_BACK", emboss=False).region = self.region.name
        row.operator("mien.key_region", text="", icon="DECORATE_KEYFRAME", emboss=False).region = self.region.name

    def draw(self, context: Any) -> None:
        """Draw the sliders."""
        head = active_head(context)
        column = self.layout.column(align=True)
        found = controls(_key_names(head))[self.region]
        rows = found[:_MOST_COMPONENTS] if self.region is Region.OTHER else found
        if any(len(control.keys) == 2 for control in rows):
            _draw_sides(column)
        for control in rows:
            _draw_control(column, head, control)
        if len(rows) < len(found):  # numbers say little to an artist, and the first ones move the most
            text = f"{len(found) - len(rows)} smaller components are in the list Shape Keys of the mesh"
            draw_lines(self.layout, text, line_width(context), "INFO")
        rig = rig_of(head)
        for bone in BONES.get(self.region, ()):
            if rig is not None and bone in rig.pose.bones:
                _draw_bone(self.layout, rig.pose.bones[bone])


def _key_names(head: Any) -> list[str]:
    return [key.name for key in head.data.shape_keys.key_blocks] if head.data.shape_keys else []


def _draw_sides(layout: Any) -> None:
    split = layout.split(factor=_LABEL_SHARE, align=True)
    split.label()
    row = split.row(align=True)
    row.label(text="Right")
    row.label(text="Left")


def _draw_control(layout: Any, head: Any, control: Control) -> None:
    split = layout.split(factor=_LABEL_SHARE, align=True)
    split.label(text=control.label)
    row = split.row(align=True)
    for key in reversed(control.keys):  # right, then left
        row.prop(head.data.shape_keys.key_blocks[key], "value", text="", slider=True)


def _draw_bone(layout: Any, bone: Any) -> None:
    column = layout.column(align=True)
    column.label(text=BONE_LABELS[bone.name], icon="BONE_DATA")
    rotation = rotation_property(bone)
    if rotation != "rotation_euler":
        column.prop(bone, rotation, text="")
        return
    for index, label in enumerate(_AXES[bone.name]):
        split = column.split(factor=_LABEL_SHARE, align=True)
        split.label(text=label)
        split.prop(bone, "rotation_euler", index=index, text="")


def _region_panel(region: Region) -> type:
    name = f"MIEN_PT_face_{region.name.lower()}"
    return type(name, (_RegionPanel, bpy.types.Panel), {"bl_idname": name, "bl_label": region.value, "region": region})


CLASSES = (MIEN_PT_face, *(_region_panel(region) for region in Region))
