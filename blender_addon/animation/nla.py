# SPDX-License-Identifier: GPL-3.0-or-later
"""Push a performance down to the NLA, so that another take can be applied."""

from __future__ import annotations

from typing import Any

from .. import compat
from ..contract.errors import ErrorCode, MienError
from .head import parts_of, require_free


def push_to_nla(mesh_object: Any) -> tuple[str, ...]:
    """Make strips of the actions that a head plays, where they are in time, and detach the actions.

    Args:
        mesh_object: A head's mesh object.

    Returns:
        Names of the strips: of the rig, of the shape keys.

    Raises:
        MienError: USAGE when the head plays no action, or cannot be changed (see `require_free`); BAD_HEAD.
    """
    parts = parts_of(mesh_object)
    require_free(parts)
    owners = [owner for owner in (parts.rig, parts.keys) if owner.animation_data and owner.animation_data.action]
    if not owners:
        message = f"'{mesh_object.name}' plays no action that could become a strip."
        raise MienError(ErrorCode.USAGE, message, "Apply a take to it first.")
    name = owners[0].animation_data.action.name.removeprefix(f"{mesh_object.name} ")
    return tuple(compat.push_down(owner, name) for owner in owners)


def scene_frame(mesh_object: Any, action: Any, frame: float) -> float:
    """Scene frame on which a head shows a frame of one of its actions, also of a strip that was moved or stretched."""
    data = parts_of(mesh_object).rig.animation_data
    if data is None or data.action == action:
        return frame
    strips = [strip for track in data.nla_tracks for strip in track.strips if strip.action == action]
    if not strips:
        return frame
    return strips[-1].frame_start + (frame - strips[-1].action_frame_start) * strips[-1].scale
