# SPDX-License-Identifier: GPL-3.0-or-later
"""The chosen take, the head that plays it, and what is shown of it."""

from __future__ import annotations

from typing import Any

from ..animation.record import TakeRecord
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
