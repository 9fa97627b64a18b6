# SPDX-License-Identifier: GPL-3.0-or-later
"""Put a character into one frame of a take without keys, for live driving; and back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..animation.paths import set_at
from ..contract.take import Take
from .apply import character_values, value_curves
from .evaluate import face_curves
from .profile import Profile
from .targets import Character

_POSE = ("location", "rotation_euler", "rotation_quaternion", "rotation_axis_angle")


def pose_character(character: Character, take: Take, profile: Profile, origin: np.ndarray | None = None) -> None:
    """Set keys and bones to a take's first frame; Blender holds keys within their sliders' ranges.

    Args:
        character: From `targets.character_of`.
        take: The take.
        profile: What drives what.
        origin: (3,) metres, camera space, from where the head's place counts; None for the take's own.

    Raises:
        MienError: CANNOT_EXPORT for a take of a head without ARKit's channels; USAGE when it drives nothing.
    """
    face = face_curves(take, origin)
    _, values = character_values(character, face, profile)
    curves = value_curves(character, values, face)
    owners = {mesh.name: mesh.data.shape_keys for mesh in character.meshes} | {"": character.rig}
    for key, tracks in curves.items():
        for curve in tracks:
            set_at(owners[key], curve.path, curve.index, float(curve.values[0]))
    for mesh in character.meshes:
        mesh.data.shape_keys.update_tag()


@dataclass(frozen=True)
class Saved:
    """How a character stood: plain values, which outlive undo.

    Attributes:
        keys: Values of shape keys by mesh object and key.
        bones: Values of bones by armature object, bone and property.
    """

    keys: tuple[tuple[str, str, float], ...]
    bones: tuple[tuple[str, str, str, tuple[float, ...]], ...]


def save_pose(character: Character) -> Saved:
    """How a character stands."""
    return Saved(tuple(_keys(character)), tuple(_bones(character)))


def put_back(saved: Saved, objects: Any) -> None:
    """Let a character stand as it did, as far as it is still there.

    Args:
        saved: From `save_pose`.
        objects: `bpy.data.objects`.
    """
    for mesh, key, value in saved.keys:
        keys = getattr(getattr(objects.get(mesh), "data", None), "shape_keys", None)
        if keys is not None and key in keys.key_blocks:
            keys.key_blocks[key].value = value
    for rig, bone, name, value in saved.bones:
        pose = getattr(objects.get(rig), "pose", None)
        if pose is not None and bone in pose.bones:
            setattr(pose.bones[bone], name, value)


def _keys(character: Character) -> Iterator[tuple[str, str, float]]:
    for mesh in character.meshes:
        for block in mesh.data.shape_keys.key_blocks:
            yield mesh.name, block.name, block.value


def _bones(character: Character) -> Iterator[tuple[str, str, str, tuple[float, ...]]]:
    for bone in character.rig.pose.bones if character.rig is not None else ():
        for name in _POSE:
            yield character.rig.name, bone.name, name, tuple(getattr(bone, name))
