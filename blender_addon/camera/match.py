# SPDX-License-Identifier: GPL-3.0-or-later
"""A Blender camera that sees the head as the photo's camera did."""

from __future__ import annotations

from collections.abc import Iterable
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


def place_before(camera_object: Any, rig: Any, origin: Any) -> None:
    """Let a camera stand before a head wherever that was moved to.

    Args:
        camera_object: The camera.
        rig: The head's armature object.
        origin: (3,) metres, camera space: the translation for which the head stands at its rig's origin.
    """
    placement = np.eye(4)
    placement[:3, :3] = axes.CAMERA_ROTATION
    placement[:3, 3] = axes.camera_location(np.array(origin))
    rigid = Matrix.LocRotScale(*rig.matrix_world.decompose()[:2], None)  # a camera that is scaled shows another lens
    camera_object.matrix_world = rigid @ Matrix(placement.tolist())


def keep_one(camera_object: Any, others: Iterable[Any]) -> Any:
    """Of a new camera and an older one that shows just the same keep the older one.

    Args:
        camera_object: The new camera.
        others: Camera objects.

    Returns:
        The camera that is left.
    """
    twin = next((item for item in others if _shows(item) == _shows(camera_object)), None)
    if twin is None or camera_object.data.animation_data is not None:
        return camera_object
    bpy.data.cameras.remove(camera_object.data)  # and the object with it
    return twin


def _shows(camera_object: Any) -> tuple[Any, ...]:
    """What a camera sees and what stands behind it, to be compared."""
    camera = camera_object.data
    lens = camera.lens, camera.sensor_width, camera.sensor_height, camera.shift_x, camera.shift_y
    placed = [value for row in camera_object.matrix_basis for value in row]
    behind = [
        (item.image.filepath if item.image else "", item.frame_method, item.rotation, item.scale, item.use_flip_x,
         item.use_flip_y, item.image_user.frame_start, item.image_user.frame_offset, item.image_user.frame_duration)
        for item in camera.background_images
    ]  # fmt: skip
    animated = camera.animation_data is not None or camera_object.animation_data is not None
    held = camera_object.parent is not None or animated
    return camera.sensor_fit, held, tuple(round(value, 4) for value in (*lens, *placed)), tuple(behind)


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
