# SPDX-License-Identifier: GPL-3.0-or-later
"""The 3D views while a capture shows its newest frame: close to the head, and as they were when nothing came of it."""

from __future__ import annotations

from dataclasses import dataclass
from math import radians
from typing import Any

import bpy
import numpy as np
from mathutils import Euler, Quaternion, Vector

from .view import views

_FRONT = Euler((radians(90.0), 0.0, 0.0))
_DISTANCE = 2.4
"""From the middle of the head, in its heights."""


@dataclass(frozen=True)
class SavedView:
    """How a 3D view stood. Names and numbers, since references do not survive undo."""

    screen: str
    area: int
    perspective: str
    location: tuple[float, ...]
    rotation: tuple[float, ...]
    distance: float


def look_at(scene: Any, mesh_object: Any) -> tuple[SavedView, ...]:
    """Let every 3D view of a scene show a head from the front.

    Args:
        scene: The scene.
        mesh_object: The head.

    Returns:
        How the views stood, for `put_back`.
    """
    points = np.empty(len(mesh_object.data.vertices) * 3, np.float32)
    mesh_object.data.vertices.foreach_get("co", points)
    corners = points.reshape(-1, 3)
    low, high = corners.min(0), corners.max(0)
    middle = Vector(((low + high) / 2).tolist()) + mesh_object.location
    saved = []
    for window, area in views(scene):
        view = area.spaces.active.region_3d
        number = list(window.screen.areas).index(area)
        saved.append(
            SavedView(
                window.screen.name,
                number,
                view.view_perspective,
                tuple(view.view_location),
                tuple(view.view_rotation),
                view.view_distance,
            )
        )
        view.view_perspective = "PERSP"
        view.view_location, view.view_rotation = middle, _FRONT.to_quaternion()
        view.view_distance = _DISTANCE * float(high[2] - low[2])
    return tuple(saved)


def put_back(saved: tuple[SavedView, ...]) -> None:
    """Let the views stand as they did."""
    for item in saved:
        screen = bpy.data.screens.get(item.screen)
        areas = list(screen.areas) if screen is not None else []
        if item.area < len(areas) and areas[item.area].type == "VIEW_3D":
            view = areas[item.area].spaces.active.region_3d
            view.view_perspective, view.view_location = item.perspective, item.location
            view.view_rotation, view.view_distance = Quaternion(item.rotation), item.distance
