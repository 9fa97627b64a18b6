# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of a head in the scene that takes animate, and the curves that a take gives them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..axes import to_head
from ..contract.errors import ErrorCode, MienError
from ..contract.head import JOINT_NAMES
from ..contract.take import Take
from ..rig import names
from ..rig.armature import rig_of, rotation_property
from ..rig.mesh import joint_regressor
from ..rig.shape_keys import key_offsets
from .channels import BoneChannels, Setup, bone_channels, key_values, shot_starts
from .paths import bone_path, key_path
from .rotations import axis_angles, eulers


@dataclass(frozen=True, eq=False)
class Curve:
    """One F-curve's values.

    Attributes:
        path: Data path of the property.
        index: Index into an array property, 0 for a single value.
        group: Name of its group of channels.
        values: (T,).
    """

    path: str
    index: int
    group: str
    values: np.ndarray


@dataclass(frozen=True, eq=False)
class Curves:
    """All curves of a take on a head: those of the rig and those of the shape keys."""

    rig: tuple[Curve, ...]
    keys: tuple[Curve, ...]


@dataclass(frozen=True)
class HeadParts:
    """A head's data in the scene; references, for use at once.

    Attributes:
        mesh: The mesh object.
        rig: The armature object.
        keys: The shape keys' data-block.
    """

    mesh: Any
    rig: Any
    keys: Any


def parts_for(mesh_object: Any, take: Take) -> HeadParts:
    """The parts of a head that a take animates.

    Raises:
        MienError: WRONG_HEAD when the take belongs to another kind of head; BAD_HEAD when it lost rig or keys.
    """
    require_same_head(mesh_object, take)
    parts = parts_of(mesh_object)
    if any(name not in parts.keys.key_blocks for name in take.meta.channels):
        raise _lost(f"'{mesh_object.name}' has lost some of its expression shape keys.")
    return parts


def require_free(parts: HeadParts) -> None:
    """Make sure that a head's actions can be changed.

    Raises:
        MienError: USAGE for a head that is linked from another file, or one whose strip is being tweaked.
    """
    name = parts.mesh.name
    if any(item.library is not None for item in (parts.mesh, parts.rig, parts.keys)):
        message = f"'{name}' is linked from another file and cannot be animated here."
        raise MienError(ErrorCode.USAGE, message, "Make the head local first.", {"cause": "linked"})
    animated = (item.animation_data for item in (parts.rig, parts.keys))
    if any(data is not None and data.use_tweak_mode for data in animated):
        message = f"A strip of '{name}' is being tweaked."
        raise MienError(ErrorCode.USAGE, message, "Leave tweak mode in the NLA editor first.", {"cause": "tweak"})


def parts_of(mesh_object: Any) -> HeadParts:
    """The parts of a head.

    Raises:
        MienError: BAD_HEAD when it lost its rig, a bone or its keys.
    """
    rig, keys = rig_of(mesh_object), mesh_object.data.shape_keys
    if rig is None or any(joint not in rig.pose.bones for joint in JOINT_NAMES):
        raise _lost(f"'{mesh_object.name}' has lost its rig or one of its bones.")
    if keys is None:
        raise _lost(f"'{mesh_object.name}' has lost its shape keys.")
    return HeadParts(mesh_object, rig, keys)


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
        remedy = (
            f"Select a head of the kind '{take.meta.head_id}', convert the take with 'mien convert', or capture the "
            "source again."
        )
        raise MienError(ErrorCode.WRONG_HEAD, message, remedy, {"cause": "head"})


def curves_of(parts: HeadParts, take: Take, origin: np.ndarray, neck_share: float = 0.0) -> Curves:
    """The curves that a take gives a head.

    Args:
        parts: From `parts_for`.
        take: The take.
        origin: (3,) metres, camera space: the translation for which the head stands at its rig's origin.
        neck_share: Part of the head's rotation that the neck makes.

    Raises:
        MienError: BAD_HEAD when the mesh has lost its joint attributes.
    """
    values = key_values_on(parts, take)
    setup = Setup(rest_joints(parts.rig), joint_shifts(parts, values), origin, neck_share)
    starts = shot_starts(take)
    rig = [
        curve
        for joint, bone in bone_channels(take, setup).items()
        for curve in _bone_curves(parts.rig.pose.bones[joint], bone, starts)
    ]
    keys = [Curve(key_path(name), 0, "Shape Keys", curve) for name, curve in values.items()]
    return Curves(tuple(rig), tuple(keys))


def key_values_on(parts: HeadParts, take: Take) -> dict[str, np.ndarray]:
    """Values (T,) of those expression and eyelid keys that the head has."""
    return {name: curve for name, curve in key_values(take, names.EYELID_KEYS).items() if name in parts.keys.key_blocks}


def bone_values(pose_bone: Any, quaternions: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Rotations (T, 4) or (T, 3) as a bone of its rotation mode has them."""
    if pose_bone.rotation_mode == "QUATERNION":
        return quaternions
    if pose_bone.rotation_mode == "AXIS_ANGLE":
        return axis_angles(quaternions)
    return eulers(quaternions, pose_bone.rotation_mode, starts)


def _lost(message: str) -> MienError:
    return MienError(ErrorCode.BAD_HEAD, message, "Undo the change to the head, or capture again.")


def _bone_curves(pose_bone: Any, bone: BoneChannels, starts: np.ndarray) -> list[Curve]:
    found = [(rotation_property(pose_bone), bone_values(pose_bone, bone.quaternion, starts))]
    if bone.location is not None:
        found.append(("location", bone.location))
    return [
        Curve(bone_path(pose_bone.name) + name, index, pose_bone.name, values[:, index])
        for name, values in found
        for index in range(values.shape[1])
    ]


def rest_joints(rig: Any) -> dict[str, np.ndarray]:
    """Where the bones rest (3,), metres, head space, by joint name."""
    return {joint: to_head(np.array(rig.data.bones[joint].head_local)) for joint in JOINT_NAMES}


def joint_shifts(parts: HeadParts, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray] | None:
    """How far each joint (T, 3) is from its rest place because of the expression, metres, head space."""
    if not parts.mesh.get(names.JOINTS_FOLLOW):
        return None
    expression = [name for name in values if name not in names.EYELID_KEYS]
    regressor = joint_regressor(parts.mesh.data)
    ways = np.stack([to_head(regressor @ key_offsets(parts.mesh.data, name)) for name in expression])
    shifts = np.einsum("et,ejc->jtc", np.stack([values[name] for name in expression]).astype(np.float64), ways)
    return dict(zip(JOINT_NAMES, shifts, strict=True))
