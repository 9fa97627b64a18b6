# SPDX-License-Identifier: GPL-3.0-or-later
"""A temporary head that shows what a running capture sees. It is a bare mesh whose vertices are set from outside, so
that it needs no mode changes while the user works, and follows an identity that is still being refined.
"""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from ..axes import head_offset, to_blender
from ..contract.errors import ErrorCode, MienError
from ..contract.head import HeadDescription
from ..contract.take import Take
from . import names
from .build import HeadNames
from .mesh import build_mesh
from .posed import posed_vertices

NAME = "Mien Preview"


def add_preview(head: HeadDescription, take: Take, scene: Any) -> HeadNames:
    """Add a preview head in a collection of its own; it cannot be selected and is not rendered.

    Args:
        head: The head of the take.
        take: A take of one frame; the preview stands at the origin in it.
        scene: The scene to add it to.

    Returns:
        Its names; there is no rig.

    Raises:
        MienError: WRONG_HEAD; BAD_HEAD for faces that Blender cannot hold.
    """
    take.require_head(head)
    vertices = posed_vertices(head, take)
    mesh = build_mesh(head, vertices, NAME)
    mesh_object = bpy.data.objects.new(NAME, mesh)
    mesh_object[names.HEAD_ID] = head.id
    mesh_object[names.HEAD_SHA256] = head.sha256
    mesh_object[names.PREVIEW] = True
    mesh_object[names.TAKE_TRANSLATION] = [float(value) for value in take.translation[0]]
    mesh_object.hide_select = mesh_object.hide_render = True
    collection = bpy.data.collections.new(NAME)
    collection.objects.link(mesh_object)
    scene.collection.children.link(collection)
    return HeadNames(collection.name, mesh_object.name, "")


def update_preview(mesh_object: Any, head: HeadDescription, take: Take) -> None:
    """Show another frame, of whatever identity the take has.

    Args:
        mesh_object: From `add_preview`.
        head: The head of the take.
        take: A take of one frame.

    Raises:
        MienError: WRONG_HEAD; BAD_HEAD when the mesh was changed.
    """
    take.require_head(head)
    mesh = mesh_object.data
    if len(mesh.vertices) != len(head.template):
        message = f"The preview '{mesh_object.name}' was changed."
        raise MienError(ErrorCode.BAD_HEAD, message, "Delete it; the next preview makes another.")
    mesh.vertices.foreach_set("co", np.ascontiguousarray(to_blender(posed_vertices(head, take)), np.float32).ravel())
    mesh.update()
    first = np.array(mesh_object[names.TAKE_TRANSLATION])
    mesh_object.location = head_offset(take.translation[0], first).tolist()


def remove_preview(mesh_object: Any) -> None:
    """Take a preview and all that was made for it away."""
    mesh = mesh_object.data
    materials = list(mesh.materials)
    collections = [item for item in mesh_object.users_collection if item.name.startswith(NAME)]
    bpy.data.objects.remove(mesh_object)
    if not mesh.users:
        bpy.data.meshes.remove(mesh)
    for material in materials:
        if material is not None and not material.users:
            bpy.data.materials.remove(material)
    for collection in collections:
        if not collection.all_objects:
            bpy.data.collections.remove(collection)


def remove_previews() -> None:
    """Take all previews away: for a file that was saved with some, and when captures end."""
    for item in [item for item in bpy.data.objects if names.is_preview(item)]:
        remove_preview(item)
