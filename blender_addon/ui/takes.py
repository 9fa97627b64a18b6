# SPDX-License-Identifier: GPL-3.0-or-later
"""The chosen take, the head that plays it, and what is shown of it."""

from __future__ import annotations

import json
from pathlib import PurePath
from typing import Any

from ..animation.record import TakeRecord
from ..contract.take import WEIGHTS, Take
from . import smoothing
from .active_head import active_head


def active_take(context: Any) -> Any | None:
    """The take that is chosen in the list; None without one."""
    settings = context.scene.mien
    return settings.takes[settings.active_take] if 0 <= settings.active_take < len(settings.takes) else None


def performance(context: Any) -> tuple[Any, Any, TakeRecord] | None:
    """The head that plays the chosen take (the active one, if it does), the action, and how the take lies in it."""
    take = active_take(context)
    if take is None:
        return None
    active, found = active_head(context), list(smoothing.playing(take))
    return next((item for item in found if item[0] == active), next(iter(found), None))


def shows_overlay(context: Any) -> bool:
    """Whether the footage lies over the head in the camera's view."""
    return any(item.display_depth == "FRONT" for item in backgrounds(context))


def backgrounds(context: Any) -> list[Any]:
    """What lies behind the scene's camera."""
    camera = context.scene.camera
    return list(camera.data.background_images) if camera is not None and camera.type == "CAMERA" else []


def start_of(settings: Any, scene: Any, take: Take) -> int:
    """Scene frame at which a take begins, by the panel's settings."""
    if settings.start_mode == "GIVEN":
        return int(settings.start)
    if settings.start_mode in {"SOURCE", "SCENE"} and "frame" in take.extra:
        shift = settings.scene_shift if settings.start_mode == "SCENE" else 0
        return int(take.extra["frame"][0]) + int(shift)
    return int(scene.frame_current)


def list_take(scene: Any, take: Take, path: str, name: str, request: str = "", story: str = "") -> Any:
    """Put a take into a scene's list and choose it; returns the entry."""
    item = scene.mien.takes.add()
    item.name, item.path = name, path
    item.head_sha256 = take.meta.head_sha256
    item.frames = len(take)
    item.engine, item.weights = take.meta.engine, take.meta.versions.get(WEIGHTS) or _asked_weights(request)
    item.licences, item.commercial_use = ", ".join(take.meta.licences), take.meta.commercial_use
    item.confidence = _confidence(take)
    item.request, item.story = request, story
    if item.frames > 1:
        item.smoothing = take.meta.smoothing  # what its curves have, so nothing has to follow
    scene.mien.active_take = len(scene.mien.takes) - 1
    return item


def _asked_weights(request: str) -> str:
    """The weights that were asked for by name, where the take does not tell them."""
    return str(json.loads(request)["options"].get("weights", "")) if request else ""


def title_of(take: Take) -> str:
    """A take as people call it: by its source."""
    return PurePath(take.meta.source).stem


def _confidence(take: Take) -> float:
    """Mean over the frames with a face."""
    seen = take.confidence[take.valid]
    return float(seen.mean()) if len(seen) else 0.0
