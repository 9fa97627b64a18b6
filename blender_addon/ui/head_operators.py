# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators on a head: reset and key a region, update the joints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import bpy
from bpy.props import EnumProperty

from ..contract.errors import MienError
from ..rig import names
from ..rig.armature import rig_of, rotation_property, update_joints
from ..rig.regions import BONES, Region, controls
from .active_head import active_head, has_head

REGION_ITEMS = [(region.name, region.value, f"Controls of the region {region.value}") for region in Region]


def _keys_of(head: Any, region: Region) -> Iterator[Any]:
    blocks = head.data.shape_keys.key_blocks if head.data.shape_keys else []
    by_name = {key.name: key for key in blocks}
    for control in controls(by_name).get(region, []):
        yield from (by_name[key] for key in control.keys)


def _bones_of(head: Any, region: Region) -> Iterator[Any]:
    rig = rig_of(head)
    for bone in BONES.get(region, ()):
        if rig is not None and bone in rig.pose.bones:
            yield rig.pose.bones[bone]


class MIEN_OT_reset_region(bpy.types.Operator):
    """Set the controls of this region back to rest"""

    bl_idname = "mien.reset_region"
    bl_label = "Reset Region"
    bl_options = {"REGISTER", "UNDO"}

    region: EnumProperty(name="Region", description="Which controls", items=REGION_ITEMS)

    @classmethod
    def poll(cls, context: Any) -> bool:
        """Needs a head."""
        return has_head(cls, context)

    def execute(self, context: Any) -> set[str]:
        """Reset it."""
        head, region = active_head(context), Region[self.region]
        for key in _keys_of(head, region):
            key.value = 0.0
        for bone in _bones_of(head, region):
            bone.rotation_quaternion = (1.0, 0.0, 0.0, 0.0)
            bone.rotation_euler = (0.0, 0.0, 0.0)
            bone.rotation_axis_angle = (0.0, 0.0, 1.0, 0.0)
        return {"FINISHED"}


class MIEN_OT_key_region(bpy.types.Operator):
    """Insert keyframes on the controls of this region at the current frame"""

    bl_idname = "mien.key_region"
    bl_label = "Key Region"
    bl_options = {"REGISTER", "UNDO"}

    region: EnumProperty(name="Region", description="Which controls", items=REGION_ITEMS)

    @classmethod
    def poll(cls, context: Any) -> bool:
        """Needs a head."""
        return has_head(cls, context)

    def execute(self, context: Any) -> set[str]:
        """Key it."""
        head, region = active_head(context), Region[self.region]
        done = [key.keyframe_insert("value") for key in _keys_of(head, region)]
        done += [bone.keyframe_insert(rotation_property(bone)) for bone in _bones_of(head, region)]
        if not all(done):
            remedy = "Unlock them, or make the action local, then key again."
            self.report({"ERROR"}, f"Curves of '{head.name}' are locked or from another file. {remedy}")
            return {"CANCELLED"}
        return {"FINISHED"}


class MIEN_OT_update_joints(bpy.types.Operator):
    """Place the bones for the present identity keys"""

    bl_idname = "mien.update_joints"
    bl_label = "Update Joints"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: Any) -> bool:
        """Needs a head with identity keys and a rig."""
        if not has_head(cls, context):
            return False
        head = active_head(context)
        keys = head.data.shape_keys.key_blocks if head.data.shape_keys else []
        if not any(names.is_identity_key(key.name) for key in keys):
            cls.poll_message_set("This head has no identity keys; capture it with Identity Keys switched on")
            return False
        if rig_of(head) is None:
            cls.poll_message_set("This head has lost its rig; undo that, or capture again")
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        """Move the bones; what was active stays so, in its mode."""
        head, active = active_head(context), context.active_object
        mode = active.mode
        bpy.ops.object.mode_set(mode="OBJECT")  # a mesh in Edit Mode does not tell where its vertices are
        try:
            moved = update_joints(head)
        except MienError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        finally:
            context.view_layer.objects.active = active
            bpy.ops.object.mode_set(mode=mode)
        self.report({"INFO"}, f"Joints moved by up to {moved * 1000:.1f} mm")
        return {"FINISHED"}


CLASSES = (
    MIEN_OT_reset_region,
    MIEN_OT_key_region,
    MIEN_OT_update_joints,
)
