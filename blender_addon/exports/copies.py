# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of heads and their camera in a scene of their own, which is gone afterwards, whatever happens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import bpy

from .. import compat
from ..animation.head import HeadParts
from ..rig import names
from .subjects import Subject

_SCENE = "Mien Export"
_LENT = "mien-lent-{}"


@dataclass(frozen=True)
class Copies:
    """What was copied; references, for use inside `copied` only.

    Attributes:
        scene: The scene, shown while they are there.
        heads: In the order of the subject's.
        camera: None where there is none.
    """

    scene: Any
    heads: tuple[HeadParts, ...]
    camera: Any | None


@contextmanager
def copied(subject: Subject) -> Iterator[Copies]:
    """Copy a subject, with its animation and drivers, into a new scene; the copies bear the originals' names."""
    for item in {head.mesh for head in subject.heads} | {head.rig for head in subject.heads}:
        item.update_from_editmode()
    before = _data_blocks()
    with ExitStack() as cleanup:
        cleanup.callback(_remove_new, before)
        scene = _scene_like(subject)
        heads = tuple(_copy_head(head, scene) for head in subject.heads)
        camera = _copy_camera(subject.camera, scene) if subject.camera else None
        pairs = [pair for old, new in zip(subject.heads, heads, strict=True) for pair in _pairs(old, new)]
        if camera:
            pairs += [(subject.camera, camera), (subject.camera.data, camera.data)]
        cleanup.enter_context(compat.window_context(scene.name))
        cleanup.enter_context(_names_lent(pairs))
        yield Copies(scene, heads, camera)


def _scene_like(subject: Subject) -> Any:
    scene, theirs = bpy.data.scenes.new(_SCENE), subject.scene.render
    scene.render.fps, scene.render.fps_base = theirs.fps, theirs.fps_base
    scene.render.resolution_x, scene.render.resolution_y = theirs.resolution_x, theirs.resolution_y
    scene.render.pixel_aspect_x, scene.render.pixel_aspect_y = theirs.pixel_aspect_x, theirs.pixel_aspect_y
    return scene


def _copy_head(head: HeadParts, scene: Any) -> HeadParts:
    rig, mesh = head.rig.copy(), head.mesh.copy()
    rig.data, mesh.data = head.rig.data.copy(), head.mesh.data.copy()
    for item in (rig, mesh):
        scene.collection.objects.link(item)
        item.hide_viewport = item.hide_render = item.hide_select = False
        item.hide_set(False, view_layer=scene.view_layers[0])
    mesh.parent = rig if mesh.parent == head.rig else mesh.parent
    for modifier in list(mesh.modifiers):
        if modifier.type != "ARMATURE":
            mesh.modifiers.remove(modifier)
        elif modifier.object == head.rig:
            modifier.object, modifier.show_viewport, modifier.show_render = rig, True, True
    keys = mesh.data.shape_keys
    for curve in keys.animation_data.drivers if keys.animation_data else ():
        for target in (target for variable in curve.driver.variables for target in variable.targets):
            if target.id == head.rig:
                target.id = rig
    mesh.show_only_shape_key = False
    for attribute in [item.name for item in mesh.data.attributes if item.name.startswith(_JOINTS)]:
        mesh.data.attributes.remove(mesh.data.attributes[attribute])
    return HeadParts(mesh, rig, keys)


_JOINTS = names.JOINT_ATTRIBUTE.format("")


def _copy_camera(camera: Any, scene: Any) -> Any:
    copy = camera.copy()
    copy.data = camera.data.copy()
    copy.data.animation_data_clear()  # of the footage behind it, which stays
    copy.data.background_images.clear()
    scene.collection.objects.link(copy)
    copy.hide_viewport = copy.hide_render = False
    scene.camera = copy
    return copy


def _pairs(old: HeadParts, new: HeadParts) -> list[tuple[Any, Any]]:
    return [(old.mesh, new.mesh), (old.rig, new.rig), (old.mesh.data, new.mesh.data), (old.rig.data, new.rig.data)]


@contextmanager
def _names_lent(pairs: list[tuple[Any, Any]]) -> Iterator[None]:
    """Let copies bear the names of what they are copies of: names are what other programs get to see."""
    lenders = [(old, new, old.name) for old, new in pairs]
    for number, (old, new, name) in enumerate(lenders):
        if old.library is None:  # names of other files do not stand in the way
            old.name = _LENT.format(number)
        new.name = name
    try:
        yield
    finally:
        for number, (_, new, _) in enumerate(lenders):
            new.name = f"{_LENT.format(number)}-copy"
        for old, _, name in lenders:
            if old.library is None:
                old.name = name


_KINDS = ("scenes", "objects", "meshes", "armatures", "cameras", "shape_keys", "actions", "materials", "images",
          "worlds", "collections", "node_groups", "texts")  # fmt: skip


def _data_blocks() -> dict[str, set[int]]:
    return {kind: {item.session_uid for item in getattr(bpy.data, kind)} for kind in _KINDS}


def _remove_new(before: dict[str, set[int]]) -> None:
    """Remove all data-blocks that have come since: the copies, and what exporters leave behind."""
    new = [item for kind, known in before.items() for item in getattr(bpy.data, kind) if item.session_uid not in known]
    bpy.data.batch_remove(new)
