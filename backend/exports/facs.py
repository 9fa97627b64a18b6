# SPDX-License-Identifier: GPL-3.0-or-later
"""FACS action units over time, in the columns that py-feat uses.

ARKit's shapes are no action units. Each unit is made from them by the table below, which docs/formats.md publishes;
units for which ARKit has no shape are marked as approximate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from blender_addon.contract.mixing import Mix, mix, mixed, sides
from blender_addon.contract.take import Take

from .curves import bounded_curves
from .tables import exactly, lines, read_table, write_table

UNITS: Mapping[str, Mix] = MappingProxyType(
    {
        "AU01": mix({"browInnerUp": 1.0}),
        "AU02": mix(sides("browOuterUp")),
        "AU04": mix(sides("browDown")),
        "AU05": mix(sides("eyeWide")),
        "AU06": mix(sides("cheekSquint")),
        "AU07": mix(sides("eyeSquint")),
        "AU09": mix(sides("noseSneer")),
        "AU10": mix(sides("mouthUpperUp")),
        "AU11": mix(sides("mouthUpperUp", 0.25) | sides("noseSneer", 0.25), approximate=True),
        "AU12": mix(sides("mouthSmile")),
        "AU14": mix(sides("mouthDimple")),
        "AU15": mix(sides("mouthFrown")),
        "AU17": mix({"mouthShrugLower": 1.0}, approximate=True),
        "AU20": mix(sides("mouthStretch")),
        "AU23": mix(sides("mouthPress", 0.25) | {"mouthRollUpper": 0.25, "mouthRollLower": 0.25}, approximate=True),
        "AU24": mix(sides("mouthPress")),
        "AU25": mix(
            {"jawOpen": 1.0, "mouthClose": -1.0} | sides("mouthLowerDown") | sides("mouthUpperUp"), approximate=True
        ),
        "AU26": mix({"jawOpen": 1.0}),
        "AU28": mix({"mouthRollUpper": 0.5, "mouthRollLower": 0.5}),
        "AU43": mix(sides("eyeBlink")),
    }
)
"""The units of py-feat, each as a sum of ARKit's channels cut to 0 to 1."""

HEADER = ("frame", "time", *UNITS)
_DECIMALS = 6


@dataclass(frozen=True, eq=False)
class ActionUnits:
    """Action units over time.

    Attributes:
        frame: (T,) int64 the source's number of each frame.
        time: (T,) float64 seconds.
        values: (T, 20) float64, 0 to 1, in the order of `UNITS`.
    """

    frame: np.ndarray
    time: np.ndarray
    values: np.ndarray


def action_units(take: Take) -> ActionUnits:
    """A take in action units.

    Raises:
        MienError: CANNOT_EXPORT for a head without ARKit's channels.
    """
    frame = take.extra.get("frame", np.arange(1, len(take) + 1))
    return ActionUnits(frame.astype(np.int64), take.time, mixed(bounded_curves(take), tuple(UNITS.values())))


def write_facs(take: Take, path: Path) -> None:
    """Write a line for each frame: its number, its time in seconds, the units.

    Raises:
        MienError: CANNOT_EXPORT, NO_SPACE, NOT_PERMITTED, MISSING_FILE.
    """
    units = action_units(take)
    parts = zip(units.frame.tolist(), exactly(units.time), lines(units.values, _DECIMALS), strict=True)
    write_table(path, HEADER, (f"{frame},{time},{row}" for frame, time, row in parts))


def read_facs(path: Path) -> ActionUnits:
    """Inverse of `write_facs`, by the names of the columns.

    Raises:
        MienError: BAD_IMPORT, MISSING_FILE, NOT_PERMITTED, TOO_LARGE.
    """
    numbers = read_table(path).numbers(HEADER)
    return ActionUnits(numbers[:, 0].astype(np.int64), numbers[:, 1], numbers[:, 2:])
