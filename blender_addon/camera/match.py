# SPDX-License-Identifier: GPL-3.0-or-later
"""A Blender camera that sees the head as the photo's camera did."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
from mathutils import Matrix

from .. import axes
from ..contract.take import Take

_NEAR, _FAR = 0.01, 100.0  # metres
_FAR_SHARE = 10.0  # of the way to the head, for photos taken from afar
_DISPLAY_SIZE = 0.1


def add_camera(take: Take, name: str, collection: Any) -> Any:
    """Make the camera of a take, for a head whose rig stands at the origin.

    Args:
        take: The take; its first frame places the camera.
        name: Name of the object and of its data.
        collection: Collection to link it to.

    Returns:
        The camera object. It stands level; the head's rotation is the root bone's.
    """
    camera = bpy.data.cameras.new(name)
    camera_object = bpy.data.objects.new(name, camera)
    collection.objects.link(camera_object)
    placement = np.eye(4)
    placement[:3, :3] = axes.CAMERA_ROTATION
    placement[:3, 3] = axes.camera_location(take.translation[0])
    camera_object.matrix_world = Matrix(placement.tolist())
    settings = axes.lens(take.camera_matrix, image_size(take))
    camera.sensor_fit = settings.sensor_fit
    camera.sensor_width = camera.sensor_height = settings.sensor
    camera.lens = settings.focal
    camera.shift_x, camera.shift_y = settings.shift
    camera.clip_start = _NEAR
    camera.clip_end = max(_FAR, _FAR_SHARE * float(take.translation[0, 2]))
    camera.display_size = _DISPLAY_SIZE
    return camera_object


def match_render(scene: Any, take: Take) -> None:
    """Give a scene's renders the photo's size, without which the camera does not line up."""
    settings = axes.lens(take.camera_matrix, image_size(take))
    scene.render.resolution_x, scene.render.resolution_y = image_size(take)
    scene.render.resolution_percentage = 100
    scene.render.pixel_aspect_x, scene.render.pixel_aspect_y = settings.pixel_aspect


def image_size(take: Take) -> tuple[int, int]:
    """Width and height of the source in pixels."""
    width, height = take.image_size.tolist()
    return width, height


def same_camera(first: Take, second: Take) -> bool:
    """Whether two takes are of the same frame of the same camera."""
    return bool(
        np.array_equal(first.image_size, second.image_size)
        and np.allclose(first.camera_matrix, second.camera_matrix, rtol=1e-6)
    )
