# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a face can drive a character: ARKit's 52 weights, VRM's expressions made of them, and turns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..contract.arkit import CHANNELS
from ..contract.vrm import RULES

HEAD, JAW, EYE_LEFT, EYE_RIGHT, PLACE = "head", "jaw", "eyeLeft", "eyeRight", "headPosition"
TURNS = (HEAD, JAW, EYE_LEFT, EYE_RIGHT)
"""Rotations that a bone takes as they are: the head towards the camera, the jaw and the eyes in the head."""
MOTIONS = (*TURNS, PLACE)
"""Those that only bones take; `headPosition` is how far the head went since the take's first frame."""
WEIGHTS = (*CHANNELS, *RULES)
"""Those that are a number, 0 to 1."""
SOURCES = (*MOTIONS, *WEIGHTS)

_LABELS = {HEAD: "Head Turn", JAW: "Jaw Turn", EYE_LEFT: "Left Eye", EYE_RIGHT: "Right Eye", PLACE: "Head Position"}
_LOOKS = ("LookUp", "LookDown", "LookIn", "LookOut")

TOLD_BY: Mapping[str, str] = {
    "jawOpen": JAW,
    **{f"eye{look}Left": EYE_LEFT for look in _LOOKS},
    **{f"eye{look}Right": EYE_RIGHT for look in _LOOKS},
}
"""Channels that a turn tells as well."""


def label(source: str) -> str:
    """What a source is called in the panel."""
    return _LABELS.get(source, source)


def labels(sources: Iterable[str]) -> str:
    """Several of them."""
    return ", ".join(label(source) for source in sources)
