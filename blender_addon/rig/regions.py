# SPDX-License-Identifier: GPL-3.0-or-later
"""Which control belongs to which part of the face, as the panel shows them. No bpy."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from . import names


class Region(StrEnum):
    """Parts of the face; the value is the label."""

    BROWS = "Brows"
    EYES = "Eyes"
    NOSE = "Nose and Cheeks"
    MOUTH = "Mouth"
    JAW = "Jaw"
    HEAD = "Head"
    OTHER = "Expression"


BONES: dict[Region, tuple[str, ...]] = {
    Region.EYES: ("eye.L", "eye.R"),
    Region.JAW: ("jaw",),
    Region.HEAD: ("root", "neck"),
}
"""Bones whose rotations are controls of a region."""

BONE_LABELS = {"root": "Head", "neck": "Neck", "jaw": "Jaw", "eye.L": "Left Eye", "eye.R": "Right Eye"}

_PREFIXES = (
    ("brow", Region.BROWS),
    ("eye", Region.EYES),
    ("nose", Region.NOSE),
    ("cheek", Region.NOSE),
    ("mouth", Region.MOUTH),
    ("tongue", Region.MOUTH),
    ("jaw", Region.JAW),
)
_SAID_BY_REGION = ("brow", "eye", "mouth", "jaw")


@dataclass(frozen=True)
class Control:
    """One row of sliders.

    Attributes:
        label: At most three words, in title case.
        keys: Shape keys: the left and the right one, or a single one.
    """

    label: str
    keys: tuple[str, ...]


def region_of(key: str) -> Region | None:
    """The region of a shape key; None for keys that are no controls (Basis, identity, correctives)."""
    if key == "Basis" or names.is_identity_key(key) or names.is_corrective_key(key):
        return None
    return next((region for prefix, region in _PREFIXES if re.match(rf"{prefix}[A-Z]", key)), Region.OTHER)


def controls(keys: Iterable[str]) -> dict[Region, list[Control]]:
    """The rows of each region that has any, left and right in one row, in the order of the keys."""
    return _controls(tuple(keys))


@lru_cache(maxsize=8)  # panels ask at each redraw
def _controls(present: tuple[str, ...]) -> dict[Region, list[Control]]:
    rows: dict[Region, list[Control]] = {region: [] for region in Region}
    for key in present:
        region = region_of(key)
        if region is None or (key.endswith("Right") and _mirrored(key) in present):
            continue
        sides = (key, _mirrored(key)) if key.endswith("Left") and _mirrored(key) in present else (key,)
        rows[region].append(Control(_label(key, region, len(sides) == 2), sides))
    return {region: found for region, found in rows.items() if found or region in BONES}


def _mirrored(key: str) -> str:
    if key.endswith("Left"):
        return f"{key.removesuffix('Left')}Right"
    return f"{key.removesuffix('Right')}Left"


def _label(key: str, region: Region, paired: bool) -> str:
    """The key "mouthLowerDownLeft" is "Lower Down" in the region Mouth, "tongueOut" is "Tongue Out"."""
    if region is Region.OTHER:
        component = re.fullmatch(r"exp(?:ression)?[ _]?0*(\d+)", key, re.IGNORECASE)
        return f"Component {component[1]}" if component else key
    part, *rest = re.findall(r"[A-Z][a-z]*|^[a-z]+", key.removesuffix("Left") if paired else key)
    label = " ".join(rest) or "Sideways"
    return label if part in _SAID_BY_REGION else f"{part.capitalize()} {label}"
