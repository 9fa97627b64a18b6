# SPDX-License-Identifier: GPL-3.0-or-later
"""A take's F-curves in bulk: writing them, rewriting their values, telling whether the user changed them."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import compat
from .head import Curve, HeadParts


def put_curves(fcurves: Any, curves: Sequence[Curve], frames: np.ndarray, holds: np.ndarray) -> None:
    """Write curves with keys on `frames` (T,), linear between them except after `holds` (T,) bool."""
    for curve in curves:
        compat.put(fcurves, curve.path, curve.index, frames, curve.values, holds, curve.group)


def rewrite_curves(fcurves: Any, curves: Sequence[Curve], frames: np.ndarray, holds: np.ndarray) -> None:
    """Give curves new values. Keys stay on the frames where they are, also where the user moved them; curves that have
    gained or lost keys are written anew.
    """
    for curve in curves:
        found = fcurves.find(curve.path, index=curve.index)
        if found is None or len(found.keyframe_points) != len(frames):
            compat.put(fcurves, curve.path, curve.index, frames, curve.values, holds, curve.group)
        else:
            compat.set_values(found, curve.values)


def checksum(action: Any, key_action: Any, parts: HeadParts) -> int:
    """Checksum of the values of all keys of a take's actions, whatever frames they are on."""
    return values_checksum(key_action, parts.keys, values_checksum(action, parts.rig))


def values_checksum(action: Any, owner: Any, total: int = 0) -> int:
    """Checksum of the values of all keys that an action has for a data-block, after those that are summed already."""
    for curve in compat.fcurves_in(action, owner):
        total = zlib.crc32(compat.values_of(curve).tobytes(), total)
    return total
