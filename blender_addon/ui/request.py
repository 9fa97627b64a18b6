# SPDX-License-Identifier: GPL-3.0-or-later
"""A capture as the panel or a script asked for it."""

from __future__ import annotations

from dataclasses import dataclass

from ..contract.options import CaptureOptions
from ..scene import SceneOptions


@dataclass(frozen=True)
class Request:
    """A capture that was asked for.

    Attributes:
        options: For the backend.
        scene: Name of the scene that gets the head.
        scene_options: How it gets it.
        look_through: Show the head through the camera afterwards.
    """

    options: CaptureOptions
    scene: str
    scene_options: SceneOptions
    look_through: bool = True
