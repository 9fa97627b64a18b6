# SPDX-License-Identifier: GPL-3.0-or-later
"""A character follows a live capture, without keys and without undo steps; afterwards it stands as it did before.

Nothing here keeps references to Blender's data, only names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np

from ..character.pose import Saved, pose_character, put_back, save_pose
from ..contract.take import Take
from .character_properties import profile_of
from .character_state import chosen_character, chosen_item
from .records import scene_of


@dataclass(frozen=True)
class _Following:
    """The character that follows.

    Attributes:
        item: Name of its face or rig.
        saved: How it stood before.
        origin: (3,) metres, camera space: where the head was at first.
    """

    item: str
    saved: Saved
    origin: np.ndarray


_following: _Following | None = None


def follow(scene_uid: int, take: Take) -> None:
    """Show a live capture's newest frame on the scene's character, if it shall follow.

    Raises:
        MienError: USAGE without a character, or when nothing of it is driven; CANNOT_EXPORT for other heads.
    """
    global _following
    scene = scene_of(scene_uid)
    if scene is None or not scene.mien.character.live:
        return
    settings, view_layer = scene.mien.character, _view_layer(scene)
    before = bpy.data.objects.get(_following.item) if _following else None
    if settings.target is not None and before != settings.target:
        before = None
    character = chosen_character(scene, view_layer, before)
    if before is None:  # the first frame, or another character was picked, or this one was deleted
        end()
        name = chosen_item(scene, view_layer).name
        _following = _Following(name, save_pose(character), take.translation[0].astype(np.float64))
    pose_character(character, take, profile_of(settings), _following.origin)


def end() -> None:
    """Let the character stand as it did before."""
    global _following
    stand()
    _following = None


def stand() -> None:
    """Let the character stand as it did before until the next frame comes, for a file that is saved meanwhile."""
    if _following is not None:
        put_back(_following.saved, bpy.data.objects)


def forget() -> None:
    """Another file is open: the character is gone."""
    global _following
    _following = None


def _view_layer(scene: Any) -> Any:
    return bpy.context.view_layer if bpy.context.scene == scene else scene.view_layers[0]
