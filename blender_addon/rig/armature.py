# SPDX-License-Identifier: GPL-3.0-or-later
"""The armature of a head: root, neck, jaw, eye.L, eye.R, and the skinning."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import bpy
import numpy as np
from mathutils import Vector

from .. import axes
from ..contract.head import JOINT_NAMES, PARENTS, HeadDescription
from .mesh import joints_at_rest
from .shape_keys import rest_vertices

RotationMode = Literal["XYZ", "QUATERNION"]

BONE_LENGTHS: Mapping[str, float] = {"root": 0.09, "neck": 0.12, "jaw": 0.09, "eye.L": 0.045, "eye.R": 0.045}
"""Metres; only how long the bones are drawn."""


def build_rig(name: str, joints: Mapping[str, np.ndarray], collection: Any, rotation_mode: RotationMode) -> Any:
    """Make the armature object.

    Args:
        name: Name of the object and of its armature.
        joints: (3,) metres, Blender's axes, by joint name.
        collection: Collection to link it to; it must be in the view layer.
        rotation_mode: How the bones' rotations are stored and keyed.

    Returns:
        The new armature object, in object mode.
    """
    armature = bpy.data.armatures.new(name)
    armature.display_type = "WIRE"  # thin lines, so that the face stays visible
    rig = bpy.data.objects.new(name, armature)
    rig.show_in_front = True
    collection.objects.link(rig)
    edit_bones(rig, lambda bones: _make_bones(bones, joints))
    for pose_bone in rig.pose.bones:
        pose_bone.rotation_mode = rotation_mode
        pose_bone.lock_scale = (True, True, True)
    return rig


def edit_bones(rig: Any, change: Callable[[Any], None]) -> None:
    """Call `change(edit_bones)` in edit mode, then go back to object mode with `rig` as the active object."""
    view_layer = bpy.context.view_layer
    active = view_layer.objects.active
    if active is not None and active.mode != "OBJECT":
        bpy.ops.object.mode_set(mode="OBJECT")
    hidden = rig.hide_get()
    rig.hide_set(False)
    view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    try:
        change(rig.data.edit_bones)
    finally:
        bpy.ops.object.mode_set(mode="OBJECT")
        rig.hide_set(hidden)


def add_skinning(mesh_object: Any, rig: Any, head: HeadDescription) -> None:
    """Parent the mesh to the rig, with the head's weights as vertex groups and an Armature modifier."""
    for index, joint in enumerate(JOINT_NAMES):
        group = mesh_object.vertex_groups.new(name=joint)
        weights = head.skinning[:, index]
        for weight in np.unique(weights[weights > 0.0]):
            group.add(np.flatnonzero(weights == weight).tolist(), float(weight), "REPLACE")
    modifier = mesh_object.modifiers.new("Armature", "ARMATURE")
    modifier.object = rig
    modifier.use_deform_preserve_volume = False  # the head model is skinned linearly
    mesh_object.parent = rig


def rotation_property(pose_bone: Any) -> str:
    """Name of the property that turns a bone in its rotation mode."""
    names = {"QUATERNION": "rotation_quaternion", "AXIS_ANGLE": "rotation_axis_angle"}
    return names.get(pose_bone.rotation_mode, "rotation_euler")


def rig_of(mesh_object: Any) -> Any | None:
    """The armature object that moves a head's mesh."""
    rigs = [modifier.object for modifier in mesh_object.modifiers if modifier.type == "ARMATURE" and modifier.object]
    return rigs[0] if rigs else None


def update_joints(mesh_object: Any) -> float:
    """Place the bones for the identity keys' present values.

    Returns:
        The farthest that a joint moved, in metres.

    Raises:
        MienError: BAD_HEAD when the mesh has lost its joint attributes.
    """
    rig = rig_of(mesh_object)
    joints = joints_at_rest(mesh_object.data, rest_vertices(mesh_object.data))
    before = {bone.name: np.array(bone.head_local) for bone in rig.data.bones}
    edit_bones(rig, lambda bones: _move_bones(bones, joints))
    return max(float(np.linalg.norm(joints[joint] - before[joint])) for joint in JOINT_NAMES)


def _make_bones(bones: Any, joints: Mapping[str, np.ndarray]) -> None:
    for index, joint in enumerate(JOINT_NAMES):
        bone = bones.new(joint)
        _place(bone, joint, joints[joint])
        if PARENTS[index] >= 0:
            bone.parent = bones[JOINT_NAMES[PARENTS[index]]]
            bone.use_connect = False


def _move_bones(bones: Any, joints: Mapping[str, np.ndarray]) -> None:
    for joint in JOINT_NAMES:
        _place(bones[joint], joint, joints[joint])


def _place(bone: Any, joint: str, position: np.ndarray) -> None:
    orientation = axes.bone_axes(joint)
    bone.head = Vector(position)
    bone.tail = Vector(position + BONE_LENGTHS[joint] * orientation[:, 1])
    bone.align_roll(Vector(orientation[:, 2]))
