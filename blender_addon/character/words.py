# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of shape keys and bones read as words: case, prefixes and the spelling of sides are forgiven."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ..contract.arkit import CHANNELS
from .sources import EYE_LEFT, EYE_RIGHT, HEAD, JAW

_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_SIDES = {"l": "left", "left": "left", "lf": "left", "r": "right", "right": "right", "rt": "right"}
_NO_HALVES = ("jaw", "mouth")  # jawLeft without its side is any jaw


@dataclass(frozen=True)
class Meaning:
    """What a name says.

    Attributes:
        sources: What it is for, with the share of each.
        dropped: How many words in front were no part of it; fewer is surer.
    """

    sources: Mapping[str, float]
    dropped: int


def words(name: str) -> tuple[list[str], str]:
    """The words of a name in lower case, and its side ("left", "right", "" for none or both).

    Numbers at the end, as Blender gives them to copies, are left out.
    """
    found = [word.lower() for word in _WORD.findall(name)]
    while len(found) > 1 and found[-1].isdigit():
        found.pop()
    sides = [_SIDES[word] for word in found if word in _SIDES]
    if len(sides) != 1:
        return found, ""
    return [word for word in found if word not in _SIDES], sides[0]


def key_meaning(name: str) -> Meaning | None:
    """What a shape key is for, by its name; None for one that says nothing."""
    if name in _VRM_WHOLE:
        return Meaning({_VRM_WHOLE[name]: 1.0}, 0)
    for dropped, joined in _endings(name):
        if joined in _KEYS:
            return Meaning(_KEYS[joined], dropped)
    return None


def bone_meaning(name: str) -> Meaning | None:
    """Which turn a bone is for, by its name; None for one that says nothing."""
    for dropped, joined in _endings(re.sub(r"[._]x$", "", name)):
        if joined in _BONES:
            return Meaning({_BONES[joined]: 1.0}, dropped)
    return None


def _endings(name: str) -> Iterator[tuple[int, str]]:
    found, side = words(name)
    for dropped in range(len(found)):
        yield dropped, "".join(found[dropped:]) + side


def _key_table() -> dict[str, Mapping[str, float]]:
    table: dict[str, dict[str, float]] = {}
    for channel in CHANNELS:
        found, side = words(channel)
        stem = "".join(found)
        table.setdefault(stem + side, {})[channel] = 1.0
        if side and stem not in _NO_HALVES:
            table.setdefault(stem, {})[channel] = 0.5
        if not side:  # some characters have two halves of it
            table.setdefault(stem + "left", {})[channel] = table.setdefault(stem + "right", {})[channel] = 1.0
    for source, spellings in _VRM.items():
        for spelling in spellings:
            table.setdefault(spelling, {source: 1.0})
    return {joined: MappingProxyType(sources) for joined, sources in table.items()}


_VRM = {
    "aa": ("mtha", "vaa"),
    "ih": ("mthi", "vih"),
    "ou": ("mthu", "vou"),
    "ee": ("mthe", "ve"),
    "oh": ("mtho", "voh"),
    "blink": ("blink", "eyeclose"),
    "blinkLeft": ("blinkleft", "eyecloseleft"),
    "blinkRight": ("blinkright", "eyecloseright"),
    "lookUp": ("lookup",),
    "lookDown": ("lookdown",),
    "lookLeft": ("lookleft",),
    "lookRight": ("lookright",),
}
_VRM_WHOLE = {
    spelling: source
    for source, letter in (("aa", "a"), ("ih", "i"), ("ou", "u"), ("ee", "e"), ("oh", "o"))
    for spelling in (source, source.upper(), source.capitalize(), letter, letter.upper())
}
"""Too short to be the end of a longer name."""
_KEYS = _key_table()
_BONES = {
    "head": HEAD,
    **dict.fromkeys(("jaw", "jawmaster", "jawroot", "lowerjaw", "mandible"), JAW),
    **dict.fromkeys(("eyeleft", "eyeballleft"), EYE_LEFT),
    **dict.fromkeys(("eyeright", "eyeballright"), EYE_RIGHT),
}
