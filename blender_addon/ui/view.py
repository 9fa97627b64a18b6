# SPDX-License-Identifier: GPL-3.0-or-later
"""The 3D views after a capture: through the photo's camera, with nothing in the way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import bpy
import numpy as np

_SOLID = {"MESH", "CURVE", "SURFACE", "META", "FONT", "CURVES", "VOLUME"}


def show_captured(scene: Any, head_names: Sequence[str]) -> str:
    """Let every 3D view of the scene look through its camera; where other objects hide the heads, in Local View.

    Args:
        scene: The scene; its camera is the capture's.
        head_names: Names of the captured mesh objects.

    Returns:
        A sentence about what was in the way; empty when nothing was.
    """
    heads = [bpy.data.objects[name] for name in head_names]
    hiding = objects_in_the_way(scene, heads)
    shown = [*heads, *(head.parent for head in heads), scene.camera]
    for window, area in views(scene):
        area.spaces.active.region_3d.view_perspective = "CAMERA"
        region = next(region for region in area.regions if region.type == "WINDOW")
        with bpy.context.temp_override(window=window, area=area, region=region):
            if hiding and area.spaces.active.local_view is None:
                _isolate(window.view_layer, shown)
            bpy.ops.view3d.view_center_camera()
    if not hiding:
        return ""
    return f"'{hiding[0].name}' hides the head, so the view shows the head alone; press / on the numpad to see all"


def objects_in_the_way(scene: Any, heads: Sequence[Any]) -> list[Any]:
    """Visible objects that overlap the box around the heads and the camera."""
    eye = np.array(scene.camera.matrix_world.translation)
    around = np.concatenate([_corners(head) for head in heads])
    low, high = np.minimum(around.min(0), eye), np.maximum(around.max(0), eye)
    return [
        item
        for item in scene.objects
        if item.type in _SOLID
        and item not in heads
        and item.visible_get()
        and item.display_type in {"SOLID", "TEXTURED"}
        and (_corners(item).min(0) < high).all()
        and (_corners(item).max(0) > low).all()
    ]


def _corners(item: Any) -> np.ndarray:
    placed = np.array(item.matrix_world)
    return np.array(item.bound_box) @ placed[:3, :3].T + placed[:3, 3]


def views(scene: Any) -> Iterator[tuple[Any, Any]]:
    """The 3D views that show a scene, with their windows."""
    for window in bpy.context.window_manager.windows:
        if window.scene == scene:
            yield from ((window, area) for area in window.screen.areas if area.type == "VIEW_3D")


def _isolate(view_layer: Any, shown: Iterable[Any]) -> None:
    """Local View of some objects in the area of the context; the selection is as it was afterwards."""
    selected = [item for item in view_layer.objects if item.select_get()]
    for item in shown:
        item.select_set(True)
    bpy.ops.view3d.localview(frame_selected=False)
    for item in view_layer.objects:
        item.select_set(item in selected)
