# SPDX-License-Identifier: GPL-3.0-or-later
"""Apply a take to a head in the scene: values now, and keyframes in one action."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import numpy as np
from bpy.utils import escape_identifier
from mathutils import Euler, Quaternion

from .. import compat
from ..axes import to_head
from ..contract.errors import ErrorCode, MienError
from ..contract.head import JOINT_NAMES
from ..contract.take import Take
from ..rig import names
from ..rig.armature import rig_of, rotation_property
from ..rig.mesh import joints_at_rest
from ..rig.shape_keys import rest_vertices
from .channels import BoneChannels, bone_channels, frame_numbers, key_values


def apply_take(mesh_object: Any, take: Take, scene: Any, frame_start: int | None = None) -> str:
    """Key a take on a head and leave the head at the take's first frame.

    Args:
        mesh_object: A head's mesh object.
        take: The take; a still gives one key on each channel.
        scene: Gives the frame rate, and the current frame as the default start.
        frame_start: Frame of the take's first sample.

    Returns:
        Name of the action. Where actions hold one data-block only (before 4.4) the shape keys have a second one.

    Raises:
        MienError: WRONG_HEAD when the take belongs to another kind of head; BAD_HEAD when it lost its rig or keys.
    """
    require_same_head(mesh_object, take)
    rig, key_blocks = _animated_parts(mesh_object, take)
    start = scene.frame_current if frame_start is None else frame_start
    frames = frame_numbers(take.time, start, scene.render.fps / scene.render.fps_base)
    values = {name: curve for name, curve in key_values(take, names.EYELID_KEYS).items() if name in key_blocks}
    shifts = _joint_shifts(mesh_object, values) if mesh_object.get(names.JOINTS_FOLLOW) else None
    bones = bone_channels(take, shifts)
    action = compat.new_action(action_name(mesh_object.name, take))
    _key_bones(rig, compat.channels(rig, action), frames, bones)
    keys = mesh_object.data.shape_keys
    key_action = action if compat.ONE_ACTION else compat.new_action(f"{action.name} Keys")
    _key_values(keys, compat.channels(keys, key_action), frames, values)
    mesh_object[names.TAKE_TRANSLATION] = [float(value) for value in take.translation[0]]
    return action.name


def require_same_head(mesh_object: Any, take: Take) -> None:
    """Make sure that a take belongs to the kind of head that a mesh object is.

    Raises:
        MienError: WRONG_HEAD.
    """
    head_id, sha256 = mesh_object.get(names.HEAD_ID), mesh_object.get(names.HEAD_SHA256)
    if sha256 != take.meta.head_sha256:
        message = (
            f"The take belongs to the head '{take.meta.head_id}', but '{mesh_object.name}' is another ('{head_id}')."
        )
        remedy = f"Select a head of the kind '{take.meta.head_id}', or capture the source again."
        raise MienError(ErrorCode.WRONG_HEAD, message, remedy, {"cause": "head"})


def action_name(head: str, take: Take) -> str:
    """Name of a take's action: "Alice photo" for a still, "Alice shot_010" for a clip."""
    return f"{head} photo" if len(take) == 1 else f"{head} {PurePath(take.meta.source).stem}"


def _animated_parts(mesh_object: Any, take: Take) -> tuple[Any, Any]:
    rig = rig_of(mesh_object)
    keys = mesh_object.data.shape_keys
    remedy = "Capture the face again, or undo the change to the head."
    if rig is None or any(joint not in rig.pose.bones for joint in JOINT_NAMES):
        raise MienError(ErrorCode.BAD_HEAD, f"'{mesh_object.name}' has lost its rig or one of its bones.", remedy)
    if keys is None or any(name not in keys.key_blocks for name in take.meta.channels):
        raise MienError(ErrorCode.BAD_HEAD, f"'{mesh_object.name}' has lost some of its expression shape keys.", remedy)
    return rig, keys.key_blocks


def _joint_shifts(mesh_object: Any, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """How far each joint (T, 3) is from its rest place because of the expression, metres, head space."""
    mesh = mesh_object.data
    count = len(mesh.vertices)
    blocks = mesh.shape_keys.key_blocks
    basis = np.empty(count * 3, dtype=np.float32)
    blocks[0].points.foreach_get("co", basis)
    at_rest = joints_at_rest(mesh, rest_vertices(mesh))
    shifts = {joint: np.zeros((len(next(iter(values.values()))), 3)) for joint in JOINT_NAMES}
    points = np.empty(count * 3, dtype=np.float32)
    expression = {name: curve for name, curve in values.items() if name not in names.EYELID_KEYS}
    for name, curve in expression.items():
        blocks[name].points.foreach_get("co", points)
        moved = joints_at_rest(mesh, rest_vertices(mesh) + (points - basis).reshape(count, 3))
        for joint in JOINT_NAMES:
            shifts[joint] += np.outer(curve, to_head(moved[joint] - at_rest[joint]))
    return shifts


def _key_values(keys: Any, fcurves: Any, frames: np.ndarray, values: Mapping[str, np.ndarray]) -> None:
    for name, curve in values.items():
        compat.put(fcurves, f'key_blocks["{escape_identifier(name)}"].value', 0, frames, curve)
        keys.key_blocks[name].value = curve[0]


def _key_bones(rig: Any, fcurves: Any, frames: np.ndarray, channels: Mapping[str, BoneChannels]) -> None:
    for joint, bone in channels.items():
        pose_bone = rig.pose.bones[joint]
        rotation = _rotations(bone.quaternion, pose_bone.rotation_mode)
        _key(pose_bone, rotation_property(pose_bone), fcurves, frames, rotation)
        if bone.location is not None:
            _key(pose_bone, "location", fcurves, frames, bone.location)


def _key(pose_bone: Any, name: str, fcurves: Any, frames: np.ndarray, values: np.ndarray) -> None:
    path = f'pose.bones["{escape_identifier(pose_bone.name)}"].{name}'
    for index in range(values.shape[1]):
        compat.put(fcurves, path, index, frames, values[:, index])
    setattr(pose_bone, name, values[0].tolist())


def _rotations(quaternions: np.ndarray, mode: str) -> np.ndarray:
    """Rotations (T, 4) or (T, 3) as a bone of this rotation mode has them."""
    if mode == "QUATERNION":
        return quaternions
    if mode == "AXIS_ANGLE":
        turns = [Quaternion(quaternion).to_axis_angle() for quaternion in quaternions.tolist()]
        return np.array([(angle, *axis) for axis, angle in turns])
    return _eulers(quaternions, mode)


def _eulers(quaternions: np.ndarray, order: str) -> np.ndarray:
    """Euler angles (T, 3) without jumps by whole turns."""
    eulers: list[Euler] = []
    for quaternion in quaternions.tolist():
        before = eulers[-1:]
        eulers.append(Quaternion(quaternion).to_euler(order, *before))
    return np.array([tuple(euler) for euler in eulers])
