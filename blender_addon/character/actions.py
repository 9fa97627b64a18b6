# SPDX-License-Identifier: GPL-3.0-or-later
"""The actions in which characters keep takes: making them, making room for them, taking them away."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import bpy
import numpy as np

from .. import compat
from ..animation.curves import put_curves, values_checksum
from ..animation.head import Curve
from ..contract.errors import ErrorCode, MienError
from .targets import Character

RECORD = "mien_character"
"""Custom property of actions, JSON: of which take and character they are."""


def read_record(action: Any) -> Mapping[str, Any] | None:
    """Of which take and character an action is; None for other actions."""
    text = action.get(RECORD) if action is not None else None
    if not isinstance(text, str):
        return None
    try:
        record = json.loads(text)
    except ValueError:  # edited by hand
        return None
    return record if isinstance(record, dict) else None


def sent_actions(character: Character) -> dict[Any, Any]:
    """The actions with takes that a character plays, by data-block."""
    playing = {}
    for owner in character.owners():
        data = owner.animation_data
        if data is not None and read_record(data.action) is not None:
            playing[owner] = data.action
    return playing


def put_actions(
    used: Mapping[str, Any],
    curves: Mapping[str, Sequence[Curve]],
    frames: np.ndarray,
    holds: np.ndarray,
    name: str,
    record: Mapping[str, Any],
) -> list[Any]:
    """Write curves into new actions: one, or one for each data-block before 4.4.

    Args:
        used: Data-blocks by the names of `curves`.
        curves: See `apply.value_curves`.
        frames: (T,) scene frames of the keys.
        holds: (T,) bool, keys after which the value stays until the next one.
        name: Of the action; further ones add the name of their mesh.
        record: What to keep of the take.
    """
    actions: list[Any] = []
    for key, owner in used.items():
        if not (actions and compat.ONE_ACTION):
            actions.append(compat.new_action(f"{name} {key}" if actions else name))
        put_curves(compat.own_channels(owner, actions[-1]), curves[key], frames, holds)
    for action in actions:
        action.use_fake_user = True
        owners = [owner for owner in used.values() if owner.animation_data.action == action]
        sums = {_name(owner): values_checksum(action, owner) for owner in owners}
        action[RECORD] = json.dumps({**record, "checksums": sums})
    return actions


def make_room(owner: Any, record: Mapping[str, Any]) -> list[str]:
    """Detach the action that a data-block plays: other work goes on as a strip, an unedited copy of this one goes."""
    data = owner.animation_data
    action = data.action if data is not None else None
    if action is None:
        return []
    before = read_record(action)
    if before is None:
        if not compat.fcurves_in(action, owner):
            data.action = None
            return []
        name = action.name
        compat.push_down(owner, name)
        return [f"The action '{name}' goes on as a strip of the nonlinear animation, below the take."]
    same = all(before.get(key) == record[key] for key in ("character", "take_file", "source", "person"))
    unedited = before.get("checksums", {}).get(_name(owner)) == values_checksum(action, owner)
    data.action = None
    if same and unedited:
        _remove_unused(action)
    return []


def clear_sent(character: Character) -> int:
    """Take away the takes that a character plays: their actions, and what they left in keys and bones.

    Returns:
        How many properties went back to rest.

    Raises:
        MienError: USAGE when it plays none, or a strip of it is being tweaked.
    """
    playing = sent_actions(character)
    if not playing:
        raise no_take(character)
    for owner in playing:
        require_no_tweak(owner)
    count = 0
    for owner, action in playing.items():
        for curve in compat.fcurves_in(action, owner):
            count += 1
            _rest(owner, curve)
        owner.animation_data.action = None
    for action in set(playing.values()):
        _remove_unused(action)
    return count


def no_take(character: Character) -> MienError:
    """Why there is nothing to take away from a character that plays no take."""
    if any(_has_strip(owner) for owner in character.owners()):
        message = f"The takes of '{character.name}' are strips of the nonlinear animation."
        return MienError(ErrorCode.USAGE, message, "Delete the strips in the NLA editor.", {"cause": "strips"})
    return MienError(ErrorCode.USAGE, f"'{character.name}' plays no take.", "Send one to it first.", {"cause": "none"})


def require_no_tweak(owner: Any) -> None:
    """Make sure that no strip of a data-block is being tweaked.

    Raises:
        MienError: USAGE.
    """
    data = owner.animation_data
    if data is not None and data.use_tweak_mode:
        message = f"A strip of '{owner.name}' is being tweaked."
        raise MienError(ErrorCode.USAGE, message, "Leave tweak mode in the NLA editor first.", {"cause": "tweak"})


def _has_strip(owner: Any) -> bool:
    """Whether a strip of a data-block plays a take."""
    tracks = owner.animation_data.nla_tracks if owner.animation_data is not None else ()
    return any(read_record(strip.action) is not None for track in tracks for strip in track.strips)


def _name(owner: Any) -> str:
    return f"{owner.bl_rna.identifier} {owner.name}"


def _remove_unused(action: Any) -> None:
    if action.users <= int(action.use_fake_user):
        bpy.data.actions.remove(action)


def _rest(owner: Any, curve: Any) -> None:
    """Put what a curve animates back to rest."""
    path, _, name = curve.data_path.rpartition(".")
    try:
        target = owner.path_resolve(path)
    except ValueError:  # the key or bone is gone
        return
    if name == "rotation_quaternion":
        target.rotation_quaternion[curve.array_index] = float(curve.array_index == 0)
    elif name == "rotation_axis_angle":
        target.rotation_axis_angle[curve.array_index] = float(curve.array_index == 2)
    elif name == "value":
        target.value = min(max(0.0, target.slider_min), target.slider_max)
    else:
        getattr(target, name)[curve.array_index] = 0.0
