# SPDX-License-Identifier: GPL-3.0-or-later
"""The chosen character, and what each channel does on it, as the panel shows it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import bpy

from ..character.actions import read_record, sent_actions
from ..character.matching import Found
from ..character.profile import Profile
from ..character.targets import Character, character_of, match_character, read_parts
from ..contract.errors import MienError
from . import smoothing
from .character_properties import ensure_rows, profile_of
from .takes import active_take

_FRESH_SECONDS = 0.3


@dataclass(frozen=True)
class Shown:
    """What the panel says about a character.

    Attributes:
        found: By source; empty where there is no character.
        problem: Why there is none, or what is wrong with the profile.
    """

    found: Mapping[str, Found]
    problem: MienError | None = None


_asked = False
_kept: tuple[tuple[object, ...], float, Shown] | None = None
_last = Shown({})


def chosen_item(scene: Any, view_layer: Any) -> Any | None:
    """The object that takes are sent to: the picked one, else the active one."""
    target = scene.mien.character.target
    # What was deleted lives on as the panel's choice.
    return target if target is not None and target.name in scene.objects else view_layer.objects.active


def chosen_character(scene: Any, view_layer: Any, item: Any | None = None) -> Character:
    """The character that takes are sent to, with what is selected besides.

    Args:
        scene: The scene.
        view_layer: One of its view layers.
        item: Another object than the chosen one.

    Raises:
        MienError: USAGE.
    """
    return character_of(item or chosen_item(scene, view_layer), list(view_layer.objects.selected))


def character_problem(context: Any) -> str:
    """Why nothing can be sent, for polls; empty if something can."""
    try:
        chosen_character(context.scene, context.view_layer)
    except MienError as error:
        return hint(error)
    return ""


def hint(error: MienError) -> str:
    """An error as a poll says it."""
    return f"{error.message} {error.remedy}".rstrip(".")


def smoothed_since(context: Any) -> bool:
    """Whether the chosen take's sliders were moved since it was sent to the chosen character, which plays it."""
    item = active_take(context)
    if item is None:
        return False
    try:
        character = chosen_character(context.scene, context.view_layer)
    except MienError:
        return False
    records = [read_record(action) or {} for action in sent_actions(character).values()]
    return any(
        record.get("take_file") == item.path and not smoothing.follows(item, record["smoothing"], record["groups"])
        for record in records
        if "smoothing" in record
    )


def shown(context: Any) -> Shown:
    """What each channel does on the chosen character; cheap to call at each redraw."""
    global _last
    _last = _shown_now(context)
    return _last


def last_shown() -> Shown:
    """What `shown` said last: for the rows of the list, which are drawn after the panel has asked."""
    return _last


def _shown_now(context: Any) -> Shown:
    global _kept
    settings, item = context.scene.mien.character, chosen_item(context.scene, context.view_layer)
    try:
        profile = profile_of(settings)
        key = (item and item.session_uid, repr(profile), len(context.view_layer.objects.selected))
        if _kept is None or _kept[0] != key or time.monotonic() - _kept[1] > _FRESH_SECONDS:
            _kept = (key, time.monotonic(), _shown(context, profile))
        return _kept[2]
    except MienError as error:
        return Shown({}, error)


def _shown(context: Any, profile: Profile) -> Shown:
    character = chosen_character(context.scene, context.view_layer)
    return Shown(match_character(read_parts(character), profile))


def fill_later(scene: Any) -> None:
    """Fill the list of a scene that has none yet; Blender forbids that while it draws."""
    global _asked
    if not _asked:
        _asked = True
        bpy.app.timers.register(lambda: _fill(scene.session_uid), first_interval=0.0)


def _fill(uid: int) -> None:
    global _asked
    _asked = False
    for scene in bpy.data.scenes:
        if scene.session_uid == uid and scene.library is None:
            ensure_rows(scene.mien.character)
    from .tell import redraw

    redraw()


def forget() -> None:
    """Forget what was shown."""
    global _kept, _last, _asked
    _kept, _last, _asked = None, Shown({}), False
