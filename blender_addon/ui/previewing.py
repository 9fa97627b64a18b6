# SPDX-License-Identifier: GPL-3.0-or-later
"""The newest solved frame on a head, while a capture runs; without keyframes and without undo steps.

It is shown on the head that the performance is for, or on one that is taken away again. Nothing here keeps references
to Blender's data, only names.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np

from .. import compat
from ..animation.pose import pose_head
from ..contract.head import HeadDescription
from ..contract.take import Take
from ..rig import names, preview
from ..rig.armature import rig_of
from .framing import SavedView, look_at, put_back
from .records import reused_head, scene_of
from .running import Running

_ASIDE = 0.35
"""Metres to the side at which a temporary head stands where the scene has heads already."""
_POSE = ("location", "rotation_euler", "rotation_quaternion", "rotation_axis_angle")


@dataclass(frozen=True)
class _Shown:
    """What shows a capture's preview.

    Attributes:
        mesh: Name of the mesh object.
        own: Whether the head is temporary.
        keys: Values of the shape keys before, of a head that is not.
        bones: Values of the bones before, by bone and property.
        views: How the 3D views stood before they turned to a temporary head.
        aside: Metres by which a temporary head stands to the side.
    """

    mesh: str
    own: bool
    keys: np.ndarray | None = None
    bones: tuple[tuple[str, str, tuple[float, ...]], ...] = ()
    views: tuple[SavedView, ...] = ()
    aside: float = 0.0


class Previews:
    """The heads that show what captures see."""

    def __init__(self) -> None:
        self._shown: dict[tuple[str, int], _Shown] = {}

    def show(self, capture: Running, takes: tuple[Take, ...], head: HeadDescription) -> None:
        """Show the newest frame of a capture.

        Raises:
            MienError: What building and posing raise.
        """
        scene = scene_of(capture.request.scene)
        if scene is None or capture.away:
            return
        for number, take in enumerate(takes[:1] if capture.request.reuse else takes):
            self._show_one((capture.job, number), capture, take, head, scene)

    def _show_one(self, key: tuple[str, int], capture: Running, take: Take, head: HeadDescription, scene: Any) -> None:
        shown = self._shown.get(key)
        mesh = bpy.data.objects.get(shown.mesh) if shown else None
        if mesh is None or not names.is_mien_head(mesh):  # undone or deleted
            mesh, shown = self._begin(capture, take, head, scene)
            self._shown[key] = shown
        if shown.own:
            preview.update_preview(mesh, head, take)
            mesh.location.x += shown.aside
        else:
            pose_head(mesh, take)

    @staticmethod
    def _begin(capture: Running, take: Take, head: HeadDescription, scene: Any) -> tuple[Any, _Shown]:
        mesh = reused_head(capture.request)
        if mesh is not None and mesh[names.HEAD_SHA256] == take.meta.head_sha256:
            return mesh, _Shown(mesh.name, False, _key_values(mesh), tuple(_bone_values(mesh)))
        there = [item for item in scene.objects if names.is_mien_head(item)]
        alone = all(names.is_preview(item) for item in there)
        mesh = bpy.data.objects[preview.add_preview(head, take, scene).mesh]
        if not alone:  # nor are the views of an artist who works on another head turned away from it
            return mesh, _Shown(mesh.name, True, aside=_ASIDE)
        seen = capture.request.look_through and not there
        return mesh, _Shown(mesh.name, True, views=look_at(scene, mesh) if seen else ())

    def end(self, job: str, shown_now: bool = False) -> None:
        """A capture is over: its temporary heads go, and other heads stand as they did before.

        Args:
            job: Which one.
            shown_now: Whether the head itself takes the place of the preview, so that the views stay.
        """
        for key in [key for key in self._shown if key[0] == job]:
            shown = self._shown.pop(key)
            mesh = bpy.data.objects.get(shown.mesh)
            if mesh is None or not names.is_mien_head(mesh):
                continue
            if shown.own:
                preview.remove_preview(mesh)
                if not shown_now:
                    put_back(shown.views)
            else:
                _put_back(mesh, shown)
        self.clean()

    def clean(self) -> None:
        """Take away temporary heads of captures that are over, which undo brings back, and copies in copied scenes."""
        wanted = {shown.mesh for shown in self._shown.values()}
        for item in [item for item in bpy.data.objects if names.is_preview(item) and item.name not in wanted]:
            preview.remove_preview(item)

    def forget(self) -> None:
        """Another file is open: all that was shown is gone."""
        self._shown.clear()


def can_show() -> bool:
    """Whether a preview may change the scene now: not while the user moves something, plays or renders."""
    return not compat.work_in_hand()


def _key_values(mesh: Any) -> np.ndarray:
    blocks = mesh.data.shape_keys.key_blocks
    values = np.empty(len(blocks), np.float32)
    blocks.foreach_get("value", values)
    return values


def _bone_values(mesh: Any) -> Iterator[tuple[str, str, tuple[float, ...]]]:
    rig = rig_of(mesh)
    for bone in rig.pose.bones if rig is not None else ():
        for name in _POSE:
            yield bone.name, name, tuple(getattr(bone, name))


def _put_back(mesh: Any, shown: _Shown) -> None:
    blocks = mesh.data.shape_keys.key_blocks
    if shown.keys is not None and len(blocks) == len(shown.keys):
        blocks.foreach_set("value", shown.keys)
        mesh.data.shape_keys.update_tag()
    rig = rig_of(mesh)
    for bone, name, value in shown.bones:
        if rig is not None and bone in rig.pose.bones:
            setattr(rig.pose.bones[bone], name, value)
