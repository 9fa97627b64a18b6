# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a capture: the heads appear, or a head performs, as one undo step."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy

from .. import compat
from ..animation.apply import ApplyOptions, apply_take
from ..client.events import CaptureFinished
from ..contract.errors import ErrorCode, MienError
from ..contract.head import HeadDescription
from ..contract.take import Take
from ..rig import names
from ..scene import SceneOptions, add_captures
from .records import scene_of
from .request import Request
from .settings import user_folder
from .take_properties import Story
from .view import show_captured


def finish(request: Request, event: CaptureFinished, head: HeadDescription | None) -> tuple[str, ...]:
    """Show in the scene what a capture found and push one undo step.

    Args:
        request: What was asked for.
        event: What came of it; at least one take.
        head: The head of the takes.

    Returns:
        Sentences about what could not be shown.

    Raises:
        MienError: What building raises; MISSING_FILE when the head is not there.
    """
    if head is None:
        message = "The head that this capture needs is not in the cache."
        raise MienError(ErrorCode.MISSING_FILE, message, "Capture again to fetch it.")
    files = _save_takes(event)  # first: when the disk is full, nothing is half there
    scene = scene_of(request.scene)
    shown = any(window.scene == scene for window in bpy.context.window_manager.windows)
    with compat.window_context(scene.name if scene else None):
        there, scene = scene, scene or bpy.context.scene
        reused = _reused(request, event.takes)
        if reused is not None:
            names_of_takes, warnings = _apply(reused, event.takes, files, scene, request.scene_options)
        else:
            names_of_takes, warnings = _build(request, event, head, files, scene, look=shown or there is None)
        _list_takes(scene, request, event, files, names_of_takes)
        if not shown and there is not None:
            warnings = (*warnings, f"The head is in the scene '{scene.name}', where the capture was started")
        still = len(event.takes[0]) == 1
        bpy.ops.ed.undo_push(message="Capture Face" if still else "Capture Performance")
    return warnings


def _build(
    request: Request, event: CaptureFinished, head: HeadDescription, files: Sequence[Path], scene: Any, look: bool
) -> tuple[list[str], tuple[str, ...]]:
    """New heads before a new camera."""
    source: str | None = request.options.source
    options = request.scene_options
    options = replace(options, name=options.name or names.from_file(request.title), take_files=tuple(map(str, files)))
    backdrop = event.report.get("backdrop")
    if isinstance(backdrop, str) and Path(backdrop).is_file():  # not there when another computer wrote it
        source, options = backdrop, replace(options, pack_photo=len(event.takes[0]) == 1)
    if request.options.live:
        source = None  # what the camera saw is not kept
    captured = add_captures(head, event.takes, source, scene, options)
    warnings = captured.warnings
    if look and request.look_through and options.use_camera:
        hidden = show_captured(scene, [item.head.mesh for item in captured.heads])
        warnings = (*warnings, hidden) if hidden else warnings
    return [item.action for item in captured.heads], warnings


def _reused(request: Request, takes: Sequence[Take]) -> Any | None:
    """The head that the performance is for; None to build new ones."""
    mesh = bpy.data.objects.get(request.reuse) if request.reuse else None
    if mesh is None or not names.is_mien_head(mesh) or mesh[names.HEAD_SHA256] != takes[0].meta.head_sha256:
        return None
    return mesh if len(takes) == 1 or request.options.live else None


def _apply(
    mesh: Any, takes: Sequence[Take], files: Sequence[Path], scene: Any, options: SceneOptions
) -> tuple[list[str], tuple[str, ...]]:
    """The performance on a head that is there; of several recordings the last one plays."""
    chosen = ApplyOptions(options.start, options.timing, options.neck_share, str(files[-1]))
    applied = apply_take(mesh, takes[-1], scene, chosen)
    earlier = [f"{applied.action} {number}" for number in range(1, len(takes))]
    return [*earlier, applied.action], applied.warnings


def _save_takes(event: CaptureFinished) -> list[Path]:
    folder = Path(user_folder("takes"))
    files = [folder / f"{event.job}-{number}.npz" for number in range(1, len(event.takes) + 1)]
    for take, path in zip(event.takes, files, strict=True):
        take.save(path)
    return files


def _list_takes(
    scene: Any, request: Request, event: CaptureFinished, files: Sequence[Path], called: Sequence[str]
) -> None:
    asked = "" if request.options.live else json.dumps(request.to_json())
    for number, (take, path) in enumerate(zip(event.takes, files, strict=True)):
        item = scene.mien.takes.add()
        item.name = called[number]
        item.path = str(path)
        item.head_sha256 = take.meta.head_sha256
        item.frames = len(take)
        item.engine = take.meta.engine
        item.confidence = _confidence(take)
        item.request = asked
        item.story = Story.of_report(event.report, number).to_text()
        if item.frames > 1:
            item.smoothing = take.meta.smoothing  # what its curves have, so nothing has to follow
    scene.mien.active_take = len(scene.mien.takes) - 1


def _confidence(take: Take) -> float:
    """Mean over the frames with a face."""
    seen = take.confidence[take.valid]
    return float(seen.mean()) if len(seen) else 0.0
