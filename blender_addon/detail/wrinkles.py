# SPDX-License-Identifier: GPL-3.0-or-later
"""The wrinkles of a head: those of the take that was put on it last, as a modifier or in its materials."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, get_args

import bpy
import numpy as np

from ..contract.errors import ErrorCode, MienError
from ..contract.exporting import to_file_name
from ..contract.take import Take
from . import material, modifiers, names
from .images import load_maps, retime
from .maps import Maps, maps_of, moved_to

Kind = Literal["MODIFIER", "MATERIAL", "OFF"]
"""How wrinkles are shown: by a Displace modifier, by the materials, or not at all."""
_TREE = "mien_wrinkles"
"""Custom property of the mesh object: the tree of nodes with its maps."""


def put_wrinkles(mesh_object: Any, take: Take, take_file: str, frames: np.ndarray) -> tuple[str, ...]:
    """Give a head the wrinkles of a take, in place of an earlier one's; how they are shown stays as it was.

    In a .blend that is saved, the maps of a clip go beside it (`//NAME displacement/`); in another they stay beside the
    take. A single map becomes part of the .blend.

    Args:
        mesh_object: The head's mesh object.
        take: The take.
        take_file: Where it is saved, with its maps beside it.
        frames: (T,) scene frame of each of its frames.

    Returns:
        Sentences about what could not be shown. What was asked for is the performance, so nothing is raised for this.
    """
    kept = _settings(mesh_object)
    remove_wrinkles(mesh_object)
    if not take.meta.displacement:
        return ()
    try:
        _require_uvs(mesh_object)
        maps, relative = _placed(maps_of(take, take_file), mesh_object.name)
        image = load_maps(maps, relative)
    except MienError as error:
        return (str(error),)
    texture = modifiers.add_modifiers(mesh_object, image)
    tree = material.add_group(mesh_object, image)
    tree.use_fake_user = True  # also while the materials do not use it
    mesh_object[_TREE] = tree
    if image.source == "SEQUENCE":
        retime(texture, "image_user.", texture.image_user, maps, frames)
        retime(tree, material.image_user_path(), tree.nodes[names.NODE].image_user, maps, frames)
    if kept is not None:
        kind, shown, render, viewport = kept
        show_as(mesh_object, kind)
        modifiers.set_levels(mesh_object, render, viewport)
        show_in_viewport(mesh_object, shown)
    return ()


def remove_wrinkles(mesh_object: Any) -> None:
    """Take a head's wrinkles away; their strength stays, since it may be keyed."""
    material.unlink(mesh_object)
    tree = mesh_object.get(_TREE)
    if tree is not None:
        del mesh_object[_TREE]
        action = tree.animation_data.action if tree.animation_data else None
        tree.use_fake_user = False
        if not tree.users:
            bpy.data.node_groups.remove(tree)
        if action is not None and not action.users:
            bpy.data.actions.remove(action)
    if has_wrinkles(mesh_object):
        modifiers.remove_modifiers(mesh_object)


def has_wrinkles(mesh_object: Any) -> bool:
    """Whether a head has maps."""
    stack = mesh_object.modifiers
    return all(name in stack for name in (names.BASE, names.SUBDIVISION, names.DISPLACE))


def shown_as(mesh_object: Any) -> Kind:
    """How the wrinkles of a head are shown."""
    if material.linked(mesh_object):
        return "MATERIAL"
    return "MODIFIER" if mesh_object.modifiers[names.DISPLACE].show_render else "OFF"


def show_as(mesh_object: Any, kind: Kind) -> None:
    """Show the wrinkles of a head in another way.

    Raises:
        MienError: USAGE for a kind that is none, or for a head without wrinkles.
    """
    if kind not in get_args(Kind):
        message = f"Wrinkles cannot be shown as {kind!r}."
        raise MienError(ErrorCode.USAGE, message, f"Use one of: {', '.join(get_args(Kind))}.")
    if not has_wrinkles(mesh_object):
        raise MienError(ErrorCode.USAGE, f"'{mesh_object.name}' has no wrinkles.", "Apply a take that has some.")
    material.unlink(mesh_object)
    mesh_object.modifiers[names.DISPLACE].show_render = kind == "MODIFIER"
    in_viewport = shown_in_viewport(mesh_object) and kind == "MODIFIER"
    mesh_object.modifiers[names.DISPLACE].show_viewport = in_viewport
    if kind == "MATERIAL":
        material.link(mesh_object, mesh_object[_TREE])


def shown_in_viewport(mesh_object: Any) -> bool:
    """Whether the subdivided skin shows in the viewport."""
    return bool(mesh_object.modifiers[names.BASE].show_viewport)


def show_in_viewport(mesh_object: Any, shown: bool) -> None:
    """Show the subdivided skin in the viewport, lifted where the modifier does that; or the bare mesh."""
    modifiers.show_in_viewport(mesh_object, shown)
    mesh_object.modifiers[names.DISPLACE].show_viewport = shown and shown_as(mesh_object) == "MODIFIER"


def _settings(mesh_object: Any) -> tuple[Kind, bool, int, int] | None:
    if not has_wrinkles(mesh_object):
        return None
    return (shown_as(mesh_object), shown_in_viewport(mesh_object), *modifiers.levels(mesh_object))


def _require_uvs(mesh_object: Any) -> None:
    layers = mesh_object.data.uv_layers
    uvs = np.zeros(2 * len(mesh_object.data.loops), np.float32)
    if layers:
        layers[0].uv.foreach_get("vector", uvs)
    if np.ptp(uvs.reshape(-1, 2), axis=0).min() > 0:
        return
    message = f"'{mesh_object.name}' has no UV layout, so the wrinkles of this take cannot be shown on it."
    remedy = "Add FLAME's head_template.obj with 'mien models add', then capture again for a new head."
    raise MienError(ErrorCode.BAD_HEAD, message, remedy)


def _placed(maps: Maps, name: str) -> tuple[Maps, bool]:
    """The maps where Blender shall read them, and whether they are beside the .blend."""
    if not bpy.data.filepath or len(np.unique(maps.numbers)) == 1:
        return maps, False
    folder = Path(bpy.path.abspath("//")) / f"{to_file_name(name)} displacement"
    return moved_to(maps, folder), True
