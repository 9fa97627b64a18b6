# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a capture: the heads appear, as one undo step."""

from __future__ import annotations

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
from ..scene import Captured, add_captures
from .request import Request
from .settings import user_folder
from .view import show_captured


def finish(request: Request, event: CaptureFinished, head: HeadDescription | None) -> tuple[str, ...]:
    """Build what a capture found and push one undo step.

    Args:
        request: What was asked for.
        event: What came of it.
        head: The head of the takes.

    Returns:
        Sentences about what could not be shown.

    Raises:
        MienError: What building raises; MISSING_FILE when the head is not there.
    """
    if head is None:
        message = "The head that this capture needs is not in the cache."
        raise MienError(ErrorCode.MISSING_FILE, message, "Capture again to fetch it.")
    photo, options = request.options.source, request.scene_options
    options = replace(options, name=options.name or names.from_file(photo))
    backdrop = event.report.get("backdrop")
    if isinstance(backdrop, str) and Path(backdrop).is_file():  # not there when another computer wrote it
        photo, options = backdrop, replace(options, pack_photo=True)
    shown = any(window.scene.name == request.scene for window in bpy.context.window_manager.windows)
    files = _save_takes(event)  # first: when the disk is full, nothing is half there
    with compat.window_context(request.scene):
        scene = bpy.data.scenes.get(request.scene) or bpy.context.scene
        captured = add_captures(head, event.takes, photo, scene, options)
        warnings = captured.warnings
        _list_takes(scene, captured, event.takes, files)
        if not shown and scene.name == request.scene:
            warnings = (*warnings, f"The head is in the scene '{scene.name}', where the capture was started")
        elif request.look_through and options.use_camera:
            hidden = show_captured(scene, [item.head.mesh for item in captured.heads])
            warnings = (*warnings, hidden) if hidden else warnings
        bpy.ops.ed.undo_push(message="Capture Face")
    return warnings


def _save_takes(event: CaptureFinished) -> list[Path]:
    folder = Path(user_folder("takes"))
    files = [folder / f"{event.job}-{number}.npz" for number in range(1, len(event.takes) + 1)]
    for take, path in zip(event.takes, files, strict=True):
        take.save(path)
    return files


def _list_takes(scene: Any, captured: Captured, takes: Sequence[Take], files: Sequence[Path]) -> None:
    for made, take, path in zip(captured.heads, takes, files, strict=True):
        item = scene.mien.takes.add()
        item.name = made.action
        item.path = str(path)
        item.head_sha256 = take.meta.head_sha256
        item.frames = len(take)
        item.engine = take.meta.engine
        item.confidence = float(take.confidence.mean())
    scene.mien.active_take = len(scene.mien.takes) - 1
