# SPDX-License-Identifier: GPL-3.0-or-later
"""Key a take on a character: one action for a character and a take, as captured heads have it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..animation import scene_time
from ..animation.apply import action_name, held_keys
from ..animation.head import Curve, bone_values
from ..animation.paths import bone_path, key_path, set_at
from ..animation.timing import Timing, key_frames
from ..contract.errors import ErrorCode, MienError
from ..contract.take import Take
from ..rig.armature import rotation_property
from .actions import make_room, put_actions, require_no_tweak
from .evaluate import FaceCurves, Values, evaluate, face_curves
from .matching import Found, State, missing
from .profile import Profile
from .targets import Character, match_character, read_parts

SLIDER_LIMIT = 10.0
"""Blender's own limit of a shape key's slider."""


@dataclass(frozen=True)
class SendOptions:
    """How a take is put on a character.

    Attributes:
        start: Scene frame of the take's first sample; None for the current frame.
        timing: One source frame per scene frame, or real time.
        rate: Scene frames per second of the source's time, to go with a head that performs the take; None to fit the
            take into the scene.
        take_file: Where the take is saved.
        smoothing, groups: Strength and factors with which it is smoothed, for the action to tell.
    """

    start: float | None = None
    timing: Timing = "conform"
    rate: float | None = None
    take_file: str = ""
    smoothing: float = 0.0
    groups: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Sent:
    """What a take became.

    Attributes:
        action: Name of the action, of the first where each data-block needs its own (before 4.4).
        keys, bones: How many shape keys and bones are animated.
        missing: Sources that nothing of the character takes.
        first, last: Scene frames of the first and the last key.
        warnings: Sentences for the user.
    """

    action: str
    keys: int
    bones: int
    missing: tuple[str, ...]
    first: float
    last: float
    warnings: tuple[str, ...] = ()


def send_take(
    character: Character, take: Take, profile: Profile, scene: Any, options: SendOptions | None = None
) -> Sent:
    """Key a take on a character, and give the scene the take's frame rate and range where nothing else is animated.

    An action that other work is in goes on as an NLA strip below. An action of the same take on this character is
    replaced, unless it was edited.

    Args:
        character: From `targets.character_of`.
        take: The take.
        profile: What drives what.
        scene: The scene that the character is in.
        options: How.

    Raises:
        MienError: CANNOT_EXPORT for a take of a head without ARKit's channels; USAGE when the take drives nothing of
            the character, or an NLA strip of it is being tweaked. Nothing is changed then.
    """
    options = options or SendOptions()
    for owner in character.owners():
        require_no_tweak(owner)
    face = face_curves(take)
    found, values = character_values(character, face, profile)
    plan = _plan(scene, take, character, options)
    frames = key_frames(take, plan.start, plan.rate, plan.timing)
    curves, warnings = _curves(character, values, face, profile)
    used = _owners(character, curves)
    name = action_name(character.name, take)
    record = _record(character, take, plan, options)
    for owner in used.values():
        warnings += make_room(owner, record)
    actions = put_actions(used, curves, frames, held_keys(take), name, record)
    for key, owner in used.items():
        for curve in curves[key]:
            set_at(owner, curve.path, curve.index, float(curve.values[0]))
        if owner.animation_data.nla_tracks:
            owner.animation_data.action_extrapolation = "HOLD_FORWARD"  # strips show until this one begins
    scene_time.set_range(scene, plan, float(frames[0]), float(frames[-1]))
    return Sent(actions[0].name, len(values.keys), len(values.bones), missing(found), float(frames[0]),
                float(frames[-1]), plan.warnings + tuple(dict.fromkeys(warnings)))  # fmt: skip


def character_values(character: Character, face: FaceCurves, profile: Profile) -> tuple[dict[str, Found], Values]:
    """What a take makes of a character.

    Raises:
        MienError: USAGE when it drives nothing.
    """
    parts = read_parts(character)
    found = match_character(parts, profile)
    if not any(answer.state is State.DRIVES for answer in found.values()):
        why = next((found[source].text for source in missing(found) if found[source].named), "")
        message = f"The take drives nothing of '{character.name}'" + (f": {why}." if why else ".")
        remedy = (
            "Choose a character whose shape keys have ARKit's, VRM's or MPFB's names, or a profile that names them."
        )
        raise MienError(ErrorCode.USAGE, message, remedy, {"cause": "nothing"})
    return found, evaluate(face, parts, profile, found)


def value_curves(character: Character, values: Values, face: FaceCurves) -> dict[str, list[Curve]]:
    """Curves of the armature object (under "") and of each mesh's shape keys (under its name)."""
    curves: dict[str, list[Curve]] = {}
    for (mesh, key), track in values.keys.items():
        curves.setdefault(mesh, []).append(Curve(key_path(key), 0, "Shape Keys", track))
    for name, motion in values.bones.items():
        bone = character.rig.pose.bones[name]
        tracks = {}
        if motion.quaternion is not None:
            tracks[rotation_property(bone)] = bone_values(bone, motion.quaternion, face.starts)
        if motion.location is not None:
            tracks["location"] = motion.location
        curves.setdefault("", []).extend(
            Curve(bone_path(name) + path, index, name, track[:, index])
            for path, track in tracks.items()
            for index in range(track.shape[1])
        )
    return curves


def _record(character: Character, take: Take, plan: scene_time.Plan, options: SendOptions) -> dict[str, object]:
    """What the action keeps: of what it was made, and under which licences."""
    meta = take.meta
    return {
        "character": character.name,
        "take_file": options.take_file,
        "source": meta.source,
        "person": meta.person,
        "start": float(plan.start),
        "timing": plan.timing,
        "smoothing": options.smoothing,
        "groups": dict(options.groups),
        "head_sha256": meta.head_sha256,
        "engine": meta.engine,
        "versions": dict(meta.versions),
        "licences": list(meta.licences),
        "commercial_use": meta.commercial_use,
    }


def _plan(scene: Any, take: Take, character: Character, options: SendOptions) -> scene_time.Plan:
    if options.rate is None:
        start = None if options.start is None else round(options.start)
        own = [item for item in (*character.body, character.rig) if item is not None]
        return scene_time.plan(scene, [take], start, options.timing, own)
    begin = scene.frame_current if options.start is None else options.start
    return scene_time.Plan(begin, options.rate, options.timing, False, scene_time.is_clip(take))


def _curves(
    character: Character, values: Values, face: FaceCurves, profile: Profile
) -> tuple[dict[str, list[Curve]], list[str]]:
    """The curves within their sliders' ranges, which are widened for them if the profile says so."""
    curves = value_curves(character, values, face)
    held = []
    for mesh in character.meshes:
        for number, curve in enumerate(curves.get(mesh.name, ())):
            block = mesh.data.shape_keys.path_resolve(curve.path.rpartition(".")[0])
            low, high = float(curve.values.min()), float(curve.values.max())
            if profile.widen:
                block.slider_min = min(block.slider_min, max(math.floor(low * 100) / 100, -SLIDER_LIMIT))
                block.slider_max = max(block.slider_max, min(math.ceil(high * 100) / 100, SLIDER_LIMIT))
            if low < block.slider_min - 1e-6 or high > block.slider_max + 1e-6:
                held.append(block.name)
            inside = np.clip(curve.values, block.slider_min, block.slider_max)
            curves[mesh.name][number] = Curve(curve.path, curve.index, curve.group, inside)
    if not held:
        return curves, []
    names = list(dict.fromkeys(held))
    which = f"'{names[0]}'" if len(names) == 1 else f"{len(names)} shape keys, '{names[0]}' among them,"
    return curves, [f"Values of {which} were held within the sliders' ranges. Switch on Widen Sliders to let them out."]


def _owners(character: Character, curves: Mapping[str, list[Curve]]) -> dict[str, Any]:
    """The data-blocks that get curves."""
    owners = {mesh.name: mesh.data.shape_keys for mesh in character.meshes if mesh.name in curves}
    if "" in curves:
        owners = {"": character.rig, **owners}
    return owners
