# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole head, at rest, in its own collection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np

from ..axes import to_blender
from ..contract.errors import ErrorCode, MienError
from ..contract.head import HeadDescription
from . import names
from .armature import RotationMode, add_skinning, build_rig
from .correctives import add_drivers
from .mesh import build_mesh, joints_at_rest
from .shape_keys import add_keys


@dataclass(frozen=True)
class BuildOptions:
    """How a head is built.

    Attributes:
        identity_keys: Keep identity as shape keys "Identity 001", ...; otherwise it is baked into Basis.
        rotation_mode: How the bones' rotations are stored and keyed.
        subdivision: Add a Subdivision modifier that works in renders only.
    """

    identity_keys: bool = False
    rotation_mode: RotationMode = "XYZ"
    subdivision: bool = True


@dataclass(frozen=True)
class HeadNames:
    """Names of a head's data in the scene; they outlive undo, references do not."""

    collection: str
    mesh: str
    rig: str


def build_head(head: HeadDescription, identity: np.ndarray, name: str, scene: Any, options: BuildOptions) -> HeadNames:
    """Build a head's mesh, keys, bones and materials at the origin, at rest.

    Args:
        head: The head's arrays.
        identity: (<=S,) coefficients; missing ones are zero.
        name: Wanted name; a number is added where it is taken.
        scene: Scene whose root collection gets the head's collection. It must be the scene of the context.
        options: How to build it.

    Returns:
        The names that were given.

    Raises:
        MienError: BAD_HEAD for faces that Blender cannot hold, BAD_TAKE for too many coefficients.
    """
    coefficients = _padded(identity, head)
    name = names.unique(name, _is_taken)
    baked = head.template + (head.identity.astype(np.float64) @ coefficients).astype(np.float32)
    basis = head.template if options.identity_keys else baked
    mesh = build_mesh(head, basis, name)
    collection = bpy.data.collections.new(name)
    scene.collection.children.link(collection)
    mesh_object = bpy.data.objects.new(name, mesh)
    collection.objects.link(mesh_object)
    _note_origin(mesh_object, head)
    add_keys(mesh_object, head, basis, coefficients if options.identity_keys else None)
    joints = joints_at_rest(mesh, to_blender(baked))
    rig = build_rig(names.rig_name(name), joints, collection, options.rotation_mode)
    add_skinning(mesh_object, rig, head)
    add_drivers(mesh_object, rig, head)
    if options.subdivision:
        _add_subdivision(mesh_object)
    return HeadNames(collection.name, mesh_object.name, rig.name)


def _padded(identity: np.ndarray, head: HeadDescription) -> np.ndarray:
    width = head.identity.shape[2]
    if len(identity) > width:
        raise MienError(
            ErrorCode.BAD_TAKE,
            f"The take has {len(identity)} identity coefficients, but the head '{head.id}' has {width}.",
            "Apply it to the head it was made with.",
        )
    padded = np.zeros(width)
    padded[: len(identity)] = identity
    return padded


def _is_taken(name: str) -> bool:
    used = (
        (bpy.data.collections, name),
        (bpy.data.objects, name),
        (bpy.data.objects, names.rig_name(name)),
        (bpy.data.objects, names.camera_name(name)),
        (bpy.data.meshes, name),
    )
    return any(key in items for items, key in used)


def _note_origin(mesh_object: Any, head: HeadDescription) -> None:
    mesh_object[names.HEAD_ID] = head.id
    mesh_object[names.HEAD_SHA256] = head.sha256
    mesh_object[names.HEAD_LICENCE] = head.licence
    mesh_object[names.COMMERCIAL_USE] = head.commercial_use
    mesh_object[names.JOINTS_FOLLOW] = head.joints_follow_expression


def _add_subdivision(mesh_object: Any) -> None:
    modifier = mesh_object.modifiers.new("Subdivision", "SUBSURF")
    modifier.levels = 0
    modifier.render_levels = 1
    modifier.show_viewport = False
