# SPDX-License-Identifier: GPL-3.0-or-later
"""From takes to a scene: heads, keys, the camera and the photo or footage. The panel and `headless.py` both use it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import bpy

from . import axes
from .animation import scene_time
from .animation.apply import ApplyOptions, key_take
from .animation.head import parts_for, require_free
from .animation.timing import Timing, is_clip
from .camera.background import load_photo, show_behind
from .camera.footage import load_footage, show_footage, start_in_scene
from .camera.match import add_camera, image_size, keep_one, match_render, place_before, same_camera
from .contract.errors import ErrorCode, MienError
from .contract.head import HeadDescription
from .contract.take import Take
from .rig import names
from .rig.armature import rig_of
from .rig.build import BuildOptions, HeadNames, build_head


@dataclass(frozen=True)
class SceneOptions:
    """How captures are put into a scene.

    Attributes:
        build: How heads are built.
        name: Name of the heads; None to name them after the source.
        use_camera: Make the captures' camera the scene's and give renders the source's size.
        pack_photo: Put a photo into the .blend; footage stays where it is.
        start: Scene frame of the first sample; None for where the footage already is in the scene, else the current
            frame.
        timing: One source frame per scene frame, or real time.
        neck_share: Part of the head's rotation, 0 to 1, that the neck makes instead of the root.
        take_files: Where the takes are saved, in their order; smoothing reads them from there.
    """

    build: BuildOptions = field(default_factory=BuildOptions)
    name: str | None = None
    use_camera: bool = True
    pack_photo: bool = False
    start: int | None = None
    timing: Timing = "conform"
    neck_share: float = 0.0
    take_files: tuple[str, ...] = ()


@dataclass(frozen=True)
class CapturedHead:
    """What one take became. Names, not references, since references do not survive undo."""

    head: HeadNames
    camera: str
    action: str


@dataclass(frozen=True)
class Captured:
    """What takes became, and what could not be done about them."""

    heads: tuple[CapturedHead, ...]
    warnings: tuple[str, ...]


def add_captures(
    head: HeadDescription, takes: Sequence[Take], source: str | None, scene: Any, options: SceneOptions | None = None
) -> Captured:
    """Build one head for each take. Faces of one source stand before one camera, as they did.

    The scene gets the footage's frame rate and range where nothing else is animated in it.

    Args:
        head: The head that all takes belong to.
        takes: At least one take, all of one source.
        source: Photo, movie, or numbered images (folder, pattern or one of them) to show behind the heads, or None. It
            must have the pictures that the takes name by their times and numbers.
        scene: The scene of the context.
        options: How; the defaults suit a new scene.

    Returns:
        The names of what was made, and sentences about what could not be shown.

    Raises:
        MienError: WRONG_HEAD, BAD_TAKE, BAD_HEAD; USAGE without takes. Nothing is left in the scene then.
    """
    options = options or SceneOptions()
    if not takes:
        raise MienError(ErrorCode.USAGE, "There is no take to build a head from.", "Capture a face first.")
    for take in takes:
        _require_match(head, take)
    files = (*options.take_files, *[""] * len(takes))[: len(takes)]
    choices = [ApplyOptions(options.start, options.timing, options.neck_share, file) for file in files]
    wanted = options.name or names.from_file(takes[0].meta.source or source or "")
    plan = scene_time.plan(scene, takes, _start(scene, takes[0], source, options), options.timing, [])
    captured: list[CapturedHead] = []
    cameras: list[tuple[Take, Any]] = []
    spans: list[tuple[float, float]] = []
    unseen: list[str] = []
    for take, choice in zip(takes, choices, strict=True):
        built = build_head(head, take.identity, wanted, scene, options.build)
        camera = _camera_for(take, built, cameras)
        applied = key_take(bpy.data.objects[built.mesh], take, plan, choice)
        spans.append((applied.first, applied.last))
        unseen += [warning for warning in applied.warnings if warning not in (*plan.warnings, *unseen)]
        captured.append(CapturedHead(built, camera.name, applied.action))
    scene_time.set_range(scene, plan, min(first for first, _ in spans), max(last for _, last in spans))
    warnings = (*plan.warnings, *unseen, *(_show_source(source, cameras, plan, options) if source else ()))
    if options.use_camera:
        scene.camera = cameras[0][1]
        match_render(scene, cameras[0][0])
    _make_active(captured[0].head.mesh)
    return Captured(tuple(captured), warnings)


@dataclass(frozen=True)
class Performed:
    """What a take became on a head that was there, and what could not be done about it."""

    action: str
    camera: str
    warnings: tuple[str, ...]


def add_performance(
    mesh_object: Any, take: Take, source: str | None, scene: Any, options: SceneOptions | None = None
) -> Performed:
    """Let a head that is in the scene perform a take, before a camera with the footage behind it.

    Each performance has its camera, unless one shows the same already: so the earlier ones still line up.

    Args:
        mesh_object: The head's mesh object, of any identity.
        take: The take.
        source: As of `add_captures`; None for no camera.
        scene: The scene that the head is in.
        options: How; what is about building is not used.

    Raises:
        MienError: As of `apply_take`; nothing is changed then.
    """
    options = options or SceneOptions()
    require_free(parts_for(mesh_object, take))
    plan = scene_time.plan(scene, [take], _start(scene, take, source, options), options.timing, [mesh_object])
    choice = ApplyOptions(options.start, options.timing, options.neck_share, next(iter(options.take_files), ""))
    applied = key_take(mesh_object, take, plan, choice)
    scene_time.set_range(scene, plan, applied.first, applied.last)
    if source is None:
        return Performed(applied.action, "", applied.warnings)
    rig = rig_of(mesh_object)
    homes = [item for item in mesh_object.users_collection if item.library is None]
    name = names.unique(names.camera_name(mesh_object.name), lambda wanted: wanted in bpy.data.objects)
    camera = add_camera(take, name, homes[0] if homes else scene.collection)
    place_before(camera, rig, mesh_object[names.TAKE_TRANSLATION])
    warnings = applied.warnings + _show_source(source, [(take, camera)], plan, options)
    camera = keep_one(camera, [item for item in scene.objects if item.type == "CAMERA" and item != camera])
    if options.use_camera:
        scene.camera = camera
        match_render(scene, take)
    return Performed(applied.action, camera.name, warnings)


def _start(scene: Any, take: Take, source: str | None, options: SceneOptions) -> int | None:
    """Where footage that is already in the scene has the take's first frame, if nothing else was asked for."""
    if options.start is not None or source is None or not is_clip(take):
        return options.start
    number = int(take.extra["frame"][0]) if "frame" in take.extra else 1
    return start_in_scene(scene, source, number)


def _require_match(head: HeadDescription, take: Take) -> None:
    take.require_head(head)
    if unknown := set(take.meta.channels) - set(head.expression_names):
        message = f"The take of {take.meta.source} has a channel '{min(unknown)}' that the head '{head.id}' lacks."
        raise MienError(ErrorCode.BAD_TAKE, message, "Capture the source again.", {"cause": "channels"})


def _camera_for(take: Take, built: HeadNames, cameras: list[tuple[Take, Any]]) -> Any:
    """The camera that sees this take's head: one that is there, with the head placed before it, or a new one."""
    for first, camera in cameras:
        if same_camera(first, take):
            bpy.data.objects[built.rig].location = axes.head_offset(take.translation[0], first.translation[0]).tolist()
            return camera
    camera = add_camera(take, names.camera_name(built.mesh), bpy.data.collections[built.collection])
    cameras.append((take, camera))
    return camera


def _show_source(
    source: str, cameras: list[tuple[Take, Any]], plan: scene_time.Plan, options: SceneOptions
) -> tuple[str, ...]:
    """Show photo or footage behind the heads. What was asked for are the heads: a backdrop that fails is only said."""
    try:
        if is_clip(cameras[0][0]):
            footage = load_footage(source)
            said = [warning for take, camera in cameras for warning in show_footage(camera, footage, take, plan)]
            return tuple(dict.fromkeys(said))
        image = load_photo(source, pack=options.pack_photo)
    except MienError as error:
        return (str(error),)
    for _, camera in cameras:
        show_behind(camera, image)
    if tuple(image.size) != image_size(cameras[0][0]):
        return (f"{source} has changed since it was captured, so it may not line up. Capture it again.",)
    return ()


def _make_active(mesh_name: str) -> None:
    view_layer = bpy.context.view_layer
    for item in view_layer.objects:
        item.select_set(False)
    mesh_object = bpy.data.objects[mesh_name]
    mesh_object.select_set(True)
    view_layer.objects.active = mesh_object
