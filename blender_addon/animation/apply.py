# SPDX-License-Identifier: GPL-3.0-or-later
"""Apply a take to a head in the scene: values now, and keyframes in one action."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import numpy as np

from .. import compat
from ..contract.errors import ErrorCode, MienError
from ..contract.take import Take
from ..detail.wrinkles import put_wrinkles
from . import scene_time
from .channels import shot_starts
from .curves import checksum, put_curves
from .head import Curve, HeadParts, curves_of, parts_for, require_free
from .paths import set_at
from .placement import note_origin, origin_of
from .record import KEY_ACTION, TakeRecord, cut_frames, gap_frames, mark, write_record
from .timing import Timing, key_frames


@dataclass(frozen=True)
class ApplyOptions:
    """How a take is put on a head.

    Attributes:
        start: Scene frame of the take's first sample; None for the current frame.
        timing: One source frame per scene frame, or real time.
        neck_share: Part of the head's rotation, 0 to 1, that the neck makes instead of the root.
        take_file: Where the take is saved; smoothing reads it from there.

    Raises:
        MienError: USAGE for a neck share out of range.
    """

    start: int | None = None
    timing: Timing = "conform"
    neck_share: float = 0.0
    take_file: str = ""

    def __post_init__(self) -> None:
        if not 0.0 <= self.neck_share <= 1.0:
            raise MienError(ErrorCode.USAGE, "The neck's share is out of range.", "Use a number from 0 to 1.")


@dataclass(frozen=True)
class Applied:
    """What a take became.

    Attributes:
        action: Name of the action.
        key_action: Name of the shape keys' action: another one where actions hold one data-block only (before 4.4).
        first, last: Scene frames of the first and the last key.
        warnings: Sentences for the user.
    """

    action: str
    key_action: str
    first: float
    last: float
    warnings: tuple[str, ...] = ()


def apply_take(mesh_object: Any, take: Take, scene: Any, options: ApplyOptions | None = None) -> Applied:
    """Key a take on a head, and give the scene the take's frame rate and range where nothing else is animated in it.

    Args:
        mesh_object: A head's mesh object, of any identity.
        take: The take; a still gives one key on each channel.
        scene: The scene that the head is in.
        options: How.

    Raises:
        MienError: WRONG_HEAD when the take belongs to another kind of head; BAD_HEAD when it lost its rig or keys;
            USAGE when it cannot be changed (see `require_free`).
    """
    options = options or ApplyOptions()
    require_free(parts_for(mesh_object, take))  # before the scene is touched
    plan = scene_time.plan(scene, [take], options.start, options.timing, [mesh_object])
    applied = key_take(mesh_object, take, plan, options)
    scene_time.set_range(scene, plan, applied.first, applied.last)
    return applied


def key_take(mesh_object: Any, take: Take, plan: scene_time.Plan, options: ApplyOptions) -> Applied:
    """Key a take on a head by a plan that others may share; the scene is left alone. Errors as of `apply_take`."""
    parts = parts_for(mesh_object, take)
    frames = key_frames(take, plan.start, plan.rate, plan.timing)
    origin = origin_of(mesh_object, take)
    curves = curves_of(parts, take, origin, options.neck_share)
    action = compat.new_action(action_name(mesh_object.name, take))
    key_action = action if compat.ONE_ACTION else compat.new_action(f"{action.name} Keys")
    holds = held_keys(take)
    put_curves(compat.channels(parts.rig, action), curves.rig, frames, holds)
    put_curves(compat.channels(parts.keys, key_action), curves.keys, frames, holds)
    _protect(action, key_action)
    record = TakeRecord(
        take_file=options.take_file,
        source=take.meta.source,
        person=take.meta.person,
        head_sha256=take.meta.head_sha256,
        start=float(plan.start),
        timing=plan.timing,
        rate=plan.rate,
        smoothing=take.meta.smoothing,
        neck_share=options.neck_share,
        origin=tuple(float(value) for value in origin),
        gaps=gap_frames(take, frames),
        cuts=cut_frames(take, frames),
        checksum=checksum(action, key_action, parts),
    )
    write_record(action, record)
    mark(action, record)
    _set_values(parts, curves.rig, curves.keys)
    note_origin(mesh_object, take, origin)
    warnings = plan.warnings + put_wrinkles(mesh_object, take, options.take_file, frames)
    return Applied(action.name, key_action.name, float(frames[0]), float(frames[-1]), warnings)


def action_name(head: str, take: Take) -> str:
    """Name of a take's action: "Alice photo" for a still, "Alice shot_010" for a clip."""
    return f"{head} photo" if len(take) == 1 else f"{head} {PurePath(take.meta.source).stem}"


def held_keys(take: Take) -> np.ndarray:
    """(T,) bool, True on the last key of each shot: nothing is interpolated across a cut."""
    return np.append(shot_starts(take)[1:], False)


def _protect(action: Any, key_action: Any) -> None:
    """Keep takes in the file when another take is applied, and tie an action to that of its shape keys."""
    action.use_fake_user = key_action.use_fake_user = True
    if key_action != action:
        action[KEY_ACTION] = key_action


def _set_values(parts: HeadParts, rig: Sequence[Curve], keys: Sequence[Curve]) -> None:
    """Leave the head at the take's first frame."""
    for pose_bone in parts.rig.pose.bones:
        pose_bone.location = (0.0, 0.0, 0.0)
    for owner, curves in ((parts.rig, rig), (parts.keys, keys)):
        for curve in curves:
            set_at(owner, curve.path, curve.index, float(curve.values[0]))
        if owner.animation_data.nla_tracks:  # takes that were pushed down before stay visible until this one begins
            owner.animation_data.action_extrapolation = "HOLD_FORWARD"
