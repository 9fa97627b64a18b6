# SPDX-License-Identifier: GPL-3.0-or-later
"""From takes to a scene: heads, their keyframes, the camera and the photo. The panel and `headless.py` both use it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import bpy

from . import axes
from .animation.apply import apply_take
from .camera.background import load_photo, show_behind
from .camera.match import add_camera, image_size, match_render, same_camera
from .contract.errors import ErrorCode, MienError
from .contract.head import HeadDescription
from .contract.take import Take
from .rig import names
from .rig.build import BuildOptions, HeadNames, build_head


@dataclass(frozen=True)
class SceneOptions:
    """How captures are put into a scene.

    Attributes:
        build: How heads are built.
        name: Name of the heads; None to name them after the photo.
        use_camera: Make the captures' camera the scene's and give renders the photo's size.
        pack_photo: Put the photo into the .blend.
    """

    build: BuildOptions = field(default_factory=BuildOptions)
    name: str | None = None
    use_camera: bool = True
    pack_photo: bool = False


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
    head: HeadDescription, takes: Sequence[Take], photo: str | None, scene: Any, options: SceneOptions | None = None
) -> Captured:
    """Build one head for each take. Faces of one photo stand before one camera, as they did.

    Args:
        head: The head that all takes belong to.
        takes: At least one take.
        photo: The photo; None for none behind the heads.
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
    wanted = options.name or names.from_file(takes[0].meta.source or photo or "")
    captured: list[CapturedHead] = []
    cameras: list[tuple[Take, Any]] = []
    for take in takes:
        built = build_head(head, take.identity, wanted, scene, options.build)
        camera = _camera_for(take, built, cameras)
        action = apply_take(bpy.data.objects[built.mesh], take, scene)
        captured.append(CapturedHead(built, camera.name, action))
    warnings = _show_photo(photo, cameras, options) if photo else ()
    if options.use_camera:
        scene.camera = cameras[0][1]
        match_render(scene, cameras[0][0])
    _make_active(captured[0].head.mesh)
    return Captured(tuple(captured), warnings)


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


def _show_photo(photo: str, cameras: list[tuple[Take, Any]], options: SceneOptions) -> tuple[str, ...]:
    try:
        image = load_photo(photo, pack=options.pack_photo)
    except MienError as error:
        return (str(error),)  # the head is what was asked for; the missing backdrop is said, not fatal
    for _, camera in cameras:
        show_behind(camera, image)
    if tuple(image.size) != image_size(cameras[0][0]):
        return (f"{photo} has changed since it was captured, so it may not line up. Capture it again.",)
    return ()


def _make_active(mesh_name: str) -> None:
    view_layer = bpy.context.view_layer
    for item in view_layer.objects:
        item.select_set(False)
    mesh_object = bpy.data.objects[mesh_name]
    mesh_object.select_set(True)
    view_layer.objects.active = mesh_object
