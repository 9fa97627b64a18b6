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
from ..client.events import CaptureFinished
from ..contract.errors import ErrorCode, MienError
from ..contract.head import HeadDescription
from ..contract.take import Take
from ..rig import names
from ..scene import SceneOptions, add_captures, add_performance
from .records import reused_head, scene_of
from .request import Request
from .settings import user_folder
from .take_properties import Story
from .takes import list_take
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
        reused, failure = _reused(request, event.takes), None
        if reused is None:
            names_of_takes, warnings = _build(request, event, head, files, scene, look=shown or there is None)
            if request.reuse and not request.options.live and len(event.takes) == 1:
                warnings = (*warnings, f"The head '{request.reuse}' is gone, so the performance has a new one")
        else:
            try:
                names_of_takes, warnings = _apply(reused, request, event, files, scene)
            except MienError as error:  # the head was changed meanwhile: what was computed is not lost for it
                names_of_takes, warnings, failure = [request.title] * len(files), (), error
        warnings = (*warnings, *event.problems)
        _list_takes(scene, request, event, files, names_of_takes)
        if not shown and there is not None:
            warnings = (*warnings, f"The head is in the scene '{scene.name}', where the capture was started")
        still = len(event.takes[0]) == 1
        bpy.ops.ed.undo_push(message="Capture Face" if still else "Capture Performance")
    if failure is not None:
        remedy = f"{failure.remedy} The take is in the list: press Apply to Head then."
        raise MienError(failure.code, failure.message, remedy, failure.details) from failure
    return warnings


def _build(
    request: Request, event: CaptureFinished, head: HeadDescription, files: Sequence[Path], scene: Any, look: bool
) -> tuple[list[str], tuple[str, ...]]:
    """New heads before a new camera."""
    source, options = _shown_source(request, event, files)
    options = replace(options, name=options.name or names.from_file(request.title))
    captured = add_captures(head, event.takes, source, scene, options)
    warnings = captured.warnings
    if look and request.look_through and options.use_camera:
        hidden = show_captured(scene, [item.head.mesh for item in captured.heads])
        warnings = (*warnings, hidden) if hidden else warnings
    return [item.action for item in captured.heads], warnings


def _shown_source(request: Request, event: CaptureFinished, files: Sequence[Path]) -> tuple[str | None, SceneOptions]:
    """What stands behind the heads, and how they get into the scene."""
    options = replace(request.scene_options, take_files=tuple(map(str, files)))
    if request.options.live:
        return None, options  # what the camera saw is not kept
    backdrop = event.report.get("backdrop")
    if isinstance(backdrop, str) and Path(backdrop).is_file():  # not there when another computer wrote it
        return backdrop, replace(options, pack_photo=len(event.takes[0]) == 1)
    return request.options.source, options


def _reused(request: Request, takes: Sequence[Take]) -> Any | None:
    """The head that the performance is for; None to build new ones."""
    mesh = reused_head(request)
    if mesh is None or mesh[names.HEAD_SHA256] != takes[0].meta.head_sha256:
        return None
    return mesh if len(takes) == 1 or request.options.live else None


def _apply(
    mesh: Any, request: Request, event: CaptureFinished, files: Sequence[Path], scene: Any
) -> tuple[list[str], tuple[str, ...]]:
    """The performance on a head that is there; of several recordings the last one plays."""
    source, options = _shown_source(request, event, files[-1:])
    performed = add_performance(mesh, event.takes[-1], source, scene, options)
    earlier = [f"{performed.action} {number}" for number in range(1, len(files))]
    return [*earlier, performed.action], performed.warnings


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
        story = Story.of_report(event.report, number).to_text()
        list_take(scene, take, str(path), called[number], asked, story)
