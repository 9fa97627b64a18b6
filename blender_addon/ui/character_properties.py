# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panel remembers of a character and its profile, in the scene."""

from __future__ import annotations

import json
from typing import Any

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from ..character.profile import EXPONENTS, MOST_GAIN, BoneTarget, KeyTarget, Profile, Response, Row, Target, bad_profile
from ..character.profile_file import targets_of, targets_text
from ..character.rigify import rigify_profile
from ..character.sources import MOTIONS, SOURCES
from ..contract.errors import MienError

_USES = {"AUTO": None, "ON": True, "OFF": False}
_DIGITS = 6
"""Properties are of single precision; 0.1 shall not be saved as 0.10000000149."""


def _profile_chosen(settings: Any, _context: Any) -> None:
    if settings.profile == "AUTO":
        put_profile(settings, Profile())
    elif settings.profile == "RIGIFY":
        put_profile(settings, rigify_profile())


def _live_changed(settings: Any, _context: Any) -> None:
    from . import character_live  # which reads these properties

    if not settings.live:
        character_live.end()


class MienChannel(bpy.types.PropertyGroup):
    """One row of a profile: what a channel does on the character."""

    use: EnumProperty(
        name="Use",
        description="Whether this channel drives the character",
        items=[
            ("AUTO", "Auto", "Where nothing else of the character does the same"),
            ("ON", "On", "Always"),
            ("OFF", "Off", "Never"),
        ],
    )
    target: StringProperty(
        name="Target", description="Shape key or bone to drive; as the profile says, or by name, if empty"
    )
    gain: FloatProperty(
        name="Gain",
        description="Factor on the channel; more than 1 exaggerates",
        default=1.0,
        min=-MOST_GAIN,
        max=MOST_GAIN,
        soft_min=0.0,
        soft_max=2.0,
    )
    offset: FloatProperty(
        name="Offset",
        description="Is added to the channel",
        default=0.0,
        min=-MOST_GAIN,
        max=MOST_GAIN,
        soft_min=-1.0,
        soft_max=1.0,
    )
    exponent: FloatProperty(
        name="Exponent",
        description="Bends the response: above 1 small values get smaller, below 1 they get larger",
        default=1.0,
        min=EXPONENTS[0],
        max=EXPONENTS[1],
        soft_min=0.25,
        soft_max=4.0,
    )
    points: StringProperty(
        name="Curve Points",
        description="Response as pairs of input and output, as in 0 0, 0.5 0.7, 1 1; the exponent if empty",
    )
    given: StringProperty(name="Profile Targets", description="Targets that the profile names, as JSON")


class MienCharacter(bpy.types.PropertyGroup):
    """The character that takes are sent to, and how."""

    target: PointerProperty(
        type=bpy.types.Object,
        name="Character",
        description="Face or rig of the character; the active object if empty",
        poll=lambda _settings, item: item.type in {"MESH", "ARMATURE"},
    )
    profile: EnumProperty(
        name="Profile",
        description="What drives what; choosing one puts the list below back to it",
        items=[
            ("AUTO", "Auto", "Shape keys and bones by their names, and Rigify's faces"),
            ("RIGIFY", "Rigify", "The controls of a face that Rigify generated, and nothing else"),
            ("FILE", "File", "A profile that was loaded; load another one with the file button"),
        ],
        update=_profile_chosen,
    )
    name: StringProperty(name="Profile Name", description="Name of the profile", default="Auto")
    facing: EnumProperty(
        name="Facing",
        description="Where the character's face looks in its armature's own axes",
        items=[
            ("-Y", "-Y", "As characters look in Blender"),
            ("Y", "Y", "The other way round"),
            ("Z", "Z", "With Y up, as some importers leave it"),
        ],
    )
    place: BoolProperty(
        name="Head Position", description="Move the head's bone as the head moved, not only turn it", default=False
    )
    widen: BoolProperty(
        name="Widen Sliders",
        description="Widen the sliders of shape keys for values beyond their range, which are held within it otherwise",
        default=False,
    )
    only: BoolProperty(name="Profile Only", description="Find nothing by name", default=False)
    unit: StringProperty(name="Unit", description="What ways of bones are measured in, as JSON")
    rows: CollectionProperty(type=MienChannel, name="Channels", description="What each channel does")
    active_row: IntProperty(name="Active Channel", description="The channel that is chosen in the list")
    live: BoolProperty(
        name="Live",
        description="Let the character follow a live capture while one runs",
        default=False,
        update=_live_changed,
    )


def ensure_rows(settings: Any) -> None:
    """Make sure that the list has a row for each source; not to be called while Blender draws."""
    if [row.name for row in settings.rows] != list(SOURCES):
        settings.rows.clear()
        for source in SOURCES:
            settings.rows.add().name = source


def put_profile(settings: Any, profile: Profile) -> None:
    """Show a profile in the list."""
    ensure_rows(settings)
    settings.name, settings.facing = profile.name, profile.facing
    settings.place, settings.widen, settings.only = profile.place, profile.widen, profile.only
    settings.unit = json.dumps(profile.unit) if profile.unit else ""
    for item in settings.rows:
        row = profile.row(item.name)
        item.use = next(name for name, use in _USES.items() if use is row.use)
        item.gain, item.offset, item.exponent = row.gain, row.offset, row.response.exponent
        item.points = ", ".join(f"{x:.6g} {y:.6g}" for x, y in row.response.points)
        item.given, item.target = targets_text(row.targets), ""


def profile_of(settings: Any) -> Profile:
    """The profile that the list shows.

    Raises:
        MienError: BAD_PROFILE, naming the channel.
    """
    rows = {item.name: _row(item) for item in settings.rows}
    unit = tuple(tuple(names) for names in json.loads(settings.unit)) if settings.unit else ()
    return Profile(
        settings.name or "Profile",
        {source: row for source, row in rows.items() if row != Row()},
        settings.facing,
        settings.place,
        settings.widen,
        settings.only,
        unit,
    )


def _row(item: Any) -> Row:
    try:
        return Row(
            _number(item.gain),
            0.0 if item.name in MOTIONS else _number(item.offset),
            Response() if item.name in MOTIONS else Response(_number(item.exponent), _points(item.points)),
            _USES[item.use],
            _targets(item),
        )
    except MienError as error:
        raise bad_profile(
            f"Channel '{item.name}': {error.message}", str(error.details["cause"]), error.remedy
        ) from error


def _targets(item: Any) -> tuple[Target, ...] | None:
    """What the profile names, or what the user wrote over it: the same target under another name."""
    given = targets_of(item.given)
    name = item.target.strip()
    if not name:
        return given
    if item.name in MOTIONS:
        return (BoneTarget((name,)),)
    bone = next((target for target in given or () if isinstance(target, BoneTarget)), None)
    if bone is not None and name in bone.names:
        return given
    return (KeyTarget(name),)


def _points(text: str) -> tuple[tuple[float, float], ...]:
    pairs = [part.split() for part in text.split(",")] if text.strip() else []
    try:
        return tuple((float(x), float(y)) for x, y in pairs)
    except ValueError as error:
        raise bad_profile(
            f"'{text:.40}' is no list of points.", "curve", "Write them as in 0 0, 0.5 0.7, 1 1."
        ) from error


def _number(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
