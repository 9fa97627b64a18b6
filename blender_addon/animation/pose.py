# SPDX-License-Identifier: GPL-3.0-or-later
"""Put a head into one frame of a take without keys, for live driving and for what a running capture sees."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..contract.take import Take
from ..rig.armature import rotation_property
from .channels import Setup, bone_channels
from .head import HeadParts, bone_values, joint_shifts, key_values_on, parts_for, rest_joints
from .placement import origin_of


def pose_head(mesh_object: Any, take: Take, origin: np.ndarray | None = None) -> None:
    """Set shape keys and bones to a take's only frame. Nothing is keyed; identity stays the head's own.

    Args:
        mesh_object: A head's mesh object.
        take: A take of one frame.
        origin: (3,) metres, camera space: the translation for which the head stands at its rig's origin; None for the
            one that the head was placed by, if the take is of the same camera, else the take's own.

    Raises:
        MienError: WRONG_HEAD when the take belongs to another kind of head; BAD_HEAD when it lost its rig or keys.
    """
    parts = parts_for(mesh_object, take)
    values = key_values_on(parts, take)
    _set_keys(parts, {name: float(curve[0]) for name, curve in values.items()})
    place = origin_of(mesh_object, take) if origin is None else origin
    setup = Setup(rest_joints(parts.rig), joint_shifts(parts, values), place)
    start = np.ones(1, dtype=bool)
    for joint, channels in bone_channels(take, setup).items():
        bone = parts.rig.pose.bones[joint]
        setattr(bone, rotation_property(bone), bone_values(bone, channels.quaternion, start)[0].tolist())
        bone.location = (0.0, 0.0, 0.0) if channels.location is None else channels.location[0].tolist()


def _set_keys(parts: HeadParts, values: dict[str, float]) -> None:
    blocks = parts.keys.key_blocks
    present = np.empty(len(blocks), dtype=np.float32)
    blocks.foreach_get("value", present)
    for index, name in enumerate(blocks.keys()):
        if name in values:
            present[index] = values[name]
    blocks.foreach_set("value", present)
    parts.keys.update_tag()
