# SPDX-License-Identifier: GPL-3.0-or-later
"""Smooth a performance anew in its curves, without a new capture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from .. import compat
from ..contract.errors import ErrorCode, MienError
from ..contract.smoothing import Group, smooth
from ..contract.take import Take
from .apply import held_keys
from .curves import checksum, rewrite_curves
from .head import HeadParts, curves_of, parts_for, parts_of
from .record import KEY_ACTION, TakeRecord, read_record, write_record
from .timing import key_frames


def performances_of(mesh_object: Any) -> list[Any]:
    """The actions with performances of a head: the one that it plays, then those of its strips, the last one first.

    Raises:
        MienError: BAD_HEAD.
    """
    actions = _actions(parts_of(mesh_object).rig)
    return list(dict.fromkeys(action for action in actions if read_record(action) is not None))


def performance_of(mesh_object: Any) -> Any | None:
    """The first of `performances_of`; None for a head without one."""
    return next(iter(performances_of(mesh_object)), None)


def record_of(mesh_object: Any) -> TakeRecord | None:
    """What the performance of a head was made from; None for a head without one."""
    return read_record(performance_of(mesh_object))


def curves_changed(mesh_object: Any) -> bool:
    """Whether values of a head's performance were edited since they were written. Moving keys in time does not count.

    Raises:
        MienError: USAGE for a head without a performance; BAD_HEAD.
    """
    parts, (action, record) = parts_of(mesh_object), _performance(mesh_object)
    return checksum(action, _key_action(action, parts), parts) != record.checksum


def resmooth(
    mesh_object: Any,
    take: Take,
    strength: float,
    groups: Mapping[Group, float] | None = None,
    force: bool = False,
    action: Any | None = None,
) -> None:
    """Rewrite the values of a head's performance for another smoothing; its keys stay where they are in time.

    Args:
        mesh_object: A head's mesh object with a performance.
        take: The take that the performance was made from.
        strength: 0 for the unsmoothed values, 0.5 is the default, 1 is strong.
        groups: Factors on it by group of channels, see `contract.smoothing`.
        force: Overwrite what was edited by hand.
        action: Which of `performances_of`; None for the first.

    Raises:
        MienError: USAGE without a performance, with `details["cause"]` "edited" for curves that were edited by hand, or
            for a strength out of range; BAD_TAKE for a take without unsmoothed values or another take; WRONG_HEAD;
            BAD_HEAD.
    """
    parts = parts_for(mesh_object, take)
    action, record = _performance(mesh_object, action)
    _require_take(take, record)
    key_action = _key_action(action, parts)
    if not force and checksum(action, key_action, parts) != record.checksum:
        message = f"The curves of '{action.name}' were edited after the capture, and smoothing would overwrite that."
        remedy = "Push the edited action to the NLA and apply the take again, or smooth anyway."
        raise MienError(ErrorCode.USAGE, message, remedy, {"cause": "edited"})
    smoothed = smooth(take, strength, groups)
    _rewrite(parts, action, smoothed, record)
    write_record(
        action,
        replace(
            record,
            smoothing=float(strength),
            groups=dict(groups or {}),
            checksum=checksum(action, key_action, parts),
        ),
    )


def _rewrite(parts: HeadParts, action: Any, take: Take, record: TakeRecord) -> None:
    curves = curves_of(parts, take, np.array(record.origin), record.neck_share)
    frames, holds = key_frames(take, record.start, record.rate, record.timing), held_keys(take)
    for owner, animated, found in (
        (parts.rig, action, curves.rig),
        (parts.keys, _key_action(action, parts), curves.keys),
    ):
        rewrite_curves(compat.channels_in(animated, owner), found, frames, holds)


def _performance(mesh_object: Any, action: Any | None = None) -> tuple[Any, TakeRecord]:
    action = action or performance_of(mesh_object)
    record = read_record(action)
    if action is None or record is None:
        message = f"'{mesh_object.name}' has no captured performance."
        raise MienError(ErrorCode.USAGE, message, "Capture one, or apply a take to it.")
    return action, record


def _require_take(take: Take, record: TakeRecord) -> None:
    if (take.meta.source, take.meta.person) != (record.source, record.person):
        message = f"The performance was not made from the take of {take.meta.source}."
        raise MienError(ErrorCode.BAD_TAKE, message, "Apply that take first.", {"cause": "other"})


def _key_action(action: Any, parts: HeadParts) -> Any:
    """The action of the shape keys; since 4.4 it is the same one, except in files of older versions and where Blender
    copied a head: it gives the copies of rig and keys a copy of the action each.

    Raises:
        MienError: BAD_HEAD when it was deleted.
    """
    found = action.get(KEY_ACTION)
    if found is not None:
        return found
    if KEY_ACTION in action.keys() or not compat.ONE_ACTION:
        message = f"The shape keys' half of '{action.name}' was deleted."
        raise MienError(ErrorCode.BAD_HEAD, message, "Undo that, or apply the take again.")
    played = _actions(parts.keys)
    if action in played:
        return action
    return next((other for other in played if _origin(other) == _origin(action)), action)


def _actions(owner: Any) -> list[Any]:
    """The action that a data-block plays, and those of its strips, the last one first."""
    data = owner.animation_data
    if data is None:
        return []
    strips = [strip.action for track in data.nla_tracks for strip in track.strips]
    return [action for action in (data.action, *reversed(strips)) if action is not None]


def _origin(action: Any) -> tuple[object, ...] | None:
    """What copies of an action have in common."""
    record = read_record(action)
    return None if record is None else (record.take_file, record.person, record.start, record.timing)
