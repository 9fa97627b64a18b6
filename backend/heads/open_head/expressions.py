# SPDX-License-Identifier: GPL-3.0-or-later
"""The 52 ARKit units: 49 expression channels, two eyelid shapes and the jaw's opening, exactly mirror-symmetric."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .sources import Target
from .topology import HeadTopology

JAW_UNIT = "jawOpen"
EYELID_UNITS = ("eyeBlinkLeft", "eyeBlinkRight")
JAW_FOLLOWERS = ("mouthClose",)
"""Units that only make sense with the jaw open: stored so that they add up exactly there."""


@dataclass(frozen=True)
class Units:
    """Displacements in metres.

    Attributes:
        names: (E,) names of the expression channels.
        expression: (V,3,E).
        eyelids: (V,3,2) left, right.
        jaw_open: (V,3).
    """

    names: tuple[str, ...]
    expression: NDArray[np.float64]
    eyelids: NDArray[np.float64]
    jaw_open: NDArray[np.float64]


def mirrored_name(name: str) -> str:
    """The unit that is the mirror image of a unit."""
    for end, other in (("Left", "Right"), ("Right", "Left")):
        if name.endswith(end):
            return name.removesuffix(end) + other
    return name


def collect_units(face_units: dict[str, Target], topology: HeadTopology) -> Units:
    """Carry the face units over to the head and make left and right exact mirror images.

    The eyeballs stay still: gaze belongs to the eye joints.
    """
    raw = {name: topology.offsets(target) for name, target in face_units.items()}
    for offsets in raw.values():
        for eye in topology.eye_vertices:
            offsets[eye] = 0.0
    units = {name: 0.5 * (offsets + topology.mirrored(raw[mirrored_name(name)])) for name, offsets in raw.items()}
    jaw_open = units.pop(JAW_UNIT)
    eyelids = np.stack([units.pop(name) for name in EYELID_UNITS], axis=-1)
    names = tuple(sorted(units))
    return Units(names, np.stack([units[n] for n in names], axis=-1), eyelids, jaw_open)
