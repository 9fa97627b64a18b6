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

from ..contract.options import DEFAULT_SMOOTHING, FOCAL_RANGE_MM, FPS_RANGE
from . import choices
from .character_properties import MienCharacter
from .export_properties import MienExportSettings
from .facts import facts_now
from .kinds import Kind
from .records import MienJob
from .session import session
from .take_properties import MienTake


def _engine_changed(settings: Any, _context: Any) -> None:
    """Another engine: the head that suits it, and no longer the other one's weights."""
    settings.head = choices.default_head(session().models, settings.engine)
    settings.weights = ""


def _source_changed(settings: Any, _context: Any) -> None:
    """Another source: all of it, and not where the scene has the one before."""
    if not settings.source:
        return
    found = facts_now(bpy.path.abspath(settings.source))
    settings.use_range = False
    settings.range_first, settings.range_last = found.first, found.last
    if settings.start_mode == "SCENE":
        settings.start_mode = "CURRENT"


class MienReference(bpy.types.PropertyGroup):
    """One more photo or clip of the same person."""

    path: StringProperty(name="File", description="Photo or clip of the same person", subtype="NONE")


class MienSettings(bpy.types.PropertyGroup):
    """Settings of the panel in one scene."""

    source: StringProperty(
        name="Source",
        description="Photo, clip, folder of numbered images or pattern such as shot.####.png",
        subtype="NONE",
        update=_source_changed,
    )
    face: IntProperty(
        name="Face",
        description="Which face of a photo, counted from the largest, or person of a clip, from the most prominent",
        default=1,
        min=1,
        soft_max=8,
    )
    all_faces: BoolProperty(name="All Faces", description="Capture every face of the source", default=False)
    use_range: BoolProperty(name="Range", description="Capture a part of the clip; otherwise all of it", default=False)
    range_first: IntProperty(name="First Frame", description="First frame, in the clip's own numbers", default=1, min=0)
    range_last: IntProperty(name="Last Frame", description="Last frame, which is captured too", default=1, min=0)
    fps: FloatProperty(
        name="Frame Rate",
        description="Numbered images in a second",
        default=24.0,
        min=FPS_RANGE[0],
        max=FPS_RANGE[1],
        precision=3,
    )
    references: CollectionProperty(
        type=MienReference,
        name="References",
        description="More photos and clips of the same person, from which the shape of the head is learnt too",
    )
    active_reference: IntProperty(name="Active Reference", description="The reference that is chosen in the list")
    engine: StringProperty(
        name="Engine",
        description="Name of what estimates the face: fit, deca, emoca or smirk",
        default="fit",
        update=_engine_changed,
    )
    head: StringProperty(
        name="Head",
        description="Id of the head model that takes on the face, such as open or flame2020, or path of its file",
        default="open",
    )
    weights: StringProperty(
        name="Weights", description="Name of the engine's weights; those that were added or chosen last if empty"
    )
    identity: EnumProperty(
        name="Identity",
        description="What says how the head is shaped",
        items=[
            ("engine", "Engine", "The engine that estimates the face"),
            ("mica", "MICA", "MICA, which was made to measure heads from photos, on FLAME 2020"),
        ],
    )
    eyelid_space: EnumProperty(
        name="Eyelids",
        description="When the lids are closed in the overlay that the backend draws; bones and keys always rig them",
        items=[
            ("rest", "As Rigged", "Before the head is turned, as the shape keys do it"),
            ("posed", "As Published", "After the head is turned, as SMIRK was published"),
        ],
    )
    displacement: IntProperty(
        name="Wrinkle Step",
        description="Of every how many frames a displacement map of the wrinkles is made; 0 for none",
        default=1,
        min=0,
        soft_max=24,
    )
    focal_auto: BoolProperty(
        name="Auto Focal Length",
        description="Take the focal length from the file, or estimate it; a photo without data gets a usual one",
        default=True,
    )
    focal_mm: FloatProperty(
        name="Focal Length",
        description="Focal length of the source's camera, as its 35 mm equivalent",
        default=50.0,
        min=FOCAL_RANGE_MM[0],
        max=FOCAL_RANGE_MM[1],
        subtype="DISTANCE_CAMERA",
        unit="CAMERA",
    )
    timing: EnumProperty(
        name="Timing",
        description="How the clip's frames fall on the scene's",
        items=[
            ("conform", "Conform", "One frame of the clip on each frame of the scene"),
            ("source", "Keep Source Time", "The clip plays as fast as it was taken, at the scene's frame rate"),
        ],
    )
    start_mode: EnumProperty(
        name="Start",
        description="Where in the scene the performance begins",
        items=[
            ("CURRENT", "Current Frame", "At the current frame of the scene"),
            ("SOURCE", "Clip Frame", "At the number that the first frame has in the clip"),
            ("GIVEN", "Given Frame", "At a frame of your choice"),
            ("SCENE", "As in Scene", "Where the scene shows the clip already, if it was taken from there"),
        ],
    )
    scene_shift: IntProperty(
        name="Scene Shift", description="Scene frame that shows a frame of the clip, less the number of that frame"
    )
    start: IntProperty(name="Start Frame", description="Frame of the scene at which the performance begins", default=1)
    smoothing: FloatProperty(
        name="Smoothing",
        description="How much new takes are smoothed; it can be changed afterwards",
        default=DEFAULT_SMOOTHING,
        min=0.0,
        max=1.0,
        subtype="FACTOR",
    )
    neck_share: FloatProperty(
        name="Neck Share",
        description="How much of the head's turning the neck takes on",
        default=0.0,
        min=0.0,
        max=1.0,
        subtype="FACTOR",
    )
    reuse_head: BoolProperty(
        name="Use Active Head",
        description="Put the performance on the active head, of the same person, and build no new one",
        default=False,
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
        description="Make the source's camera the scene's and give renders the source's size, so that both line up",
        default=True,
    )
    look_through: BoolProperty(
        name="Camera View", description="Look through the source's camera when the head is there", default=True
    )
    live_from: EnumProperty(
        name="Live From",
        description="What drives the head live",
        items=[
            ("CAMERA", "Camera", "A camera of the computer that runs the backend"),
            ("FILE", "Source", "The chosen clip, played as if it were a camera"),
        ],
    )
    live_device: IntProperty(name="Device", description="Number of the camera, from 0", default=0, min=0, max=99)
    takes: CollectionProperty(type=MienTake, name="Takes", description="The captures of this scene")
    active_take: IntProperty(name="Active Take", description="The take that is chosen in the list")
    character: PointerProperty(type=MienCharacter, name="Character", description="The character that takes are sent to")
    export: PointerProperty(type=MienExportSettings, name="Export", description="Settings of the section Export")
    jobs: CollectionProperty(type=MienJob, name="Jobs", description="The captures that run for this scene")


def captured_frames(settings: Any, found: Any) -> int:
    """How many frames a capture with these settings has; 0 for a photo and where it is not known."""
    if not found.kind.moves:
        return 0
    if not settings.use_range:
        return int(found.frames)
    last = min(settings.range_last, found.last) if found.frames else settings.range_last
    return max(last - max(settings.range_first, found.first) + 1, 0)


def moves(settings: Any, found: Any) -> bool:
    """Whether the chosen source gives a performance."""
    return bool(settings.source) and found.kind in (Kind.CLIP, Kind.SEQUENCE)


def add_to_scenes() -> None:
    """Give every scene its settings, as `scene.mien`."""
    bpy.types.Scene.mien = PointerProperty(type=MienSettings, name="Mien", description="Face capture")


def remove_from_scenes() -> None:
    """Undo `add_to_scenes`."""
    del bpy.types.Scene.mien
