# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panel remembers, in the scene."""

from __future__ import annotations

from typing import Any

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from ..contract.options import FOCAL_RANGE_MM, CaptureOptions
from ..rig.build import BuildOptions
from ..scene import SceneOptions
from .request import Request
from .session import session

_head_items: list[tuple[str, str, str]] = []  # Blender keeps no reference to what an items callback returns


def _heads(_settings: Any, _context: Any) -> list[tuple[str, str, str]]:
    items = [("open", "Open Head", "The free head that comes with Mien")]
    for status in session().heads:
        if status.ready and status.id != "open":
            items.append((status.id, status.id, f"Licence: {status.licence}"))
    if items != _head_items:
        _head_items[:] = items
    return _head_items


class MienTake(bpy.types.PropertyGroup):
    """A take of this scene."""

    path: StringProperty(name="File", description="The take on disk", subtype="FILE_PATH")
    head_sha256: StringProperty(name="Head", description="Hash of the head that the take belongs to")
    frames: IntProperty(name="Frames", description="Number of frames in the take")
    engine: StringProperty(name="Engine", description="What estimated the face")
    confidence: FloatProperty(name="Confidence", description="How sure the capture is, 0 to 1", subtype="FACTOR")


class MienSettings(bpy.types.PropertyGroup):
    """Settings of the panel in one scene."""

    photo: StringProperty(name="Photo", description="Photo of the face to capture", subtype="NONE")
    face: IntProperty(
        name="Face", description="Which face of the photo, counted from the largest", default=1, min=1, soft_max=8
    )
    all_faces: BoolProperty(name="All Faces", description="Capture every face of the photo", default=False)
    engine: EnumProperty(
        name="Engine",
        description="What estimates the face",
        items=[("fit", "Landmark Fit", "Fits the head to 478 landmarks; free, needs no added files")],
    )
    head: EnumProperty(name="Head", description="Head model that takes on the face", items=_heads)
    focal_auto: BoolProperty(
        name="Auto Focal Length",
        description="Take the focal length from the photo's data, or assume a usual one",
        default=True,
    )
    focal_mm: FloatProperty(
        name="Focal Length",
        description="Focal length of the photo's camera, as its 35 mm equivalent",
        default=50.0,
        min=FOCAL_RANGE_MM[0],
        max=FOCAL_RANGE_MM[1],
        subtype="DISTANCE_CAMERA",
        unit="CAMERA",
    )
    identity_keys: BoolProperty(
        name="Identity Keys",
        description="Keep the shape of the face as shape keys; otherwise it is baked into Basis",
        default=False,
    )
    rotation_mode: EnumProperty(
        name="Bone Rotation",
        description="How the rotations of the bones are stored and keyed",
        items=[
            ("XYZ", "XYZ Euler", "Three angles for each bone"),
            ("QUATERNION", "Quaternion", "Four numbers for each bone, free of gimbal lock"),
        ],
    )
    subdivision: BoolProperty(
        name="Smooth Renders", description="Subdivide the head once in renders, not in the viewport", default=True
    )
    use_camera: BoolProperty(
        name="Set Camera",
        description="Make the photo's camera the scene's and give renders the photo's size, so that both line up",
        default=True,
    )
    look_through: BoolProperty(
        name="Camera View", description="Look through the photo's camera when the head is there", default=True
    )
    takes: CollectionProperty(type=MienTake, name="Takes", description="The captures of this scene")
    active_take: IntProperty(name="Active Take", description="The take that is chosen in the list")


def request_from(settings: Any, scene: Any, photo: str) -> Request:
    """A capture with the panel's settings.

    Raises:
        MienError: USAGE for settings that make no sense.
    """
    options = CaptureOptions(
        source=photo,
        face=None if settings.all_faces or settings.face == 1 else settings.face,
        all_faces=settings.all_faces,
        engine=settings.engine,
        head=settings.head or "open",
        focal_mm=None if settings.focal_auto else settings.focal_mm,
    )
    build = BuildOptions(
        identity_keys=settings.identity_keys,
        rotation_mode=settings.rotation_mode,
        subdivision=settings.subdivision,
    )
    return Request(options, scene.name, SceneOptions(build, use_camera=settings.use_camera), settings.look_through)


def add_to_scenes() -> None:
    """Give every scene its settings, as `scene.mien`."""
    bpy.types.Scene.mien = PointerProperty(type=MienSettings, name="Mien", description="Face capture")


def remove_from_scenes() -> None:
    """Undo `add_to_scenes`."""
    del bpy.types.Scene.mien
