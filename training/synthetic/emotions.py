# SPDX-License-Identifier: GPL-3.0-or-later
"""AffectNet's eight emotions as mixes of ARKit's units, with valence and arousal.

The units follow the action units that EMFACS gives each emotion (Ekman and Friesen), several faces for each. Valence
and arousal at full strength are about where AffectNet's annotators put the class (Mollahosseini et al. 2017, figure 2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from blender_addon.contract.arkit import CHANNELS
from blender_addon.contract.models import EMOTIONS

_SIDES = ("Left", "Right")


@dataclass(frozen=True)
class Prototype:
    """One face of an emotion at full strength.

    Attributes:
        emotion: of `EMOTIONS`.
        units: ARKit's units, 0 to 1. A name without a side stands for both.
        one_sided: Of the paired units, those that show on one side only, drawn at random.
    """

    emotion: str
    units: Mapping[str, float]
    one_sided: tuple[str, ...] = ()


PLACES: Mapping[str, tuple[float, float]] = {
    "neutral": (0.0, 0.0), "happy": (0.8, 0.35), "sad": (-0.7, -0.35), "surprise": (0.15, 0.8),
    "fear": (-0.5, 0.75), "disgust": (-0.7, 0.4), "anger": (-0.6, 0.75), "contempt": (-0.55, 0.15),
}  # fmt: skip
"""Valence and arousal of each emotion at full strength, -1 to 1."""

PROTOTYPES: tuple[Prototype, ...] = (
    Prototype("neutral", {}),
    Prototype("happy", {"mouthSmile": 0.9, "cheekSquint": 0.8, "eyeSquint": 0.45, "mouthDimple": 0.2}),
    Prototype("happy", {"mouthSmile": 1.0, "cheekSquint": 0.9, "eyeSquint": 0.5, "mouthUpperUp": 0.45,
                        "mouthLowerDown": 0.35, "jawOpen": 0.22}),
    Prototype("happy", {"mouthSmile": 1.0, "cheekSquint": 1.0, "eyeSquint": 0.6, "mouthUpperUp": 0.5,
                        "mouthLowerDown": 0.4, "jawOpen": 0.5, "browOuterUp": 0.2}),
    Prototype("sad", {"browInnerUp": 1.0, "browDown": 0.25, "mouthFrown": 0.9, "mouthShrugLower": 0.45,
                      "eyeSquint": 0.2, "eyeBlink": 0.12, "eyeLookDown": 0.3}),
    Prototype("sad", {"browInnerUp": 0.9, "mouthFrown": 0.75, "mouthPress": 0.3, "mouthRollLower": 0.2,
                      "eyeBlink": 0.2, "eyeLookDown": 0.45}),
    Prototype("surprise", {"browInnerUp": 0.9, "browOuterUp": 1.0, "eyeWide": 0.9, "jawOpen": 0.65,
                           "mouthFunnel": 0.25}),
    Prototype("surprise", {"browInnerUp": 0.8, "browOuterUp": 0.9, "eyeWide": 0.8, "jawOpen": 0.35,
                           "mouthFunnel": 0.45}),
    Prototype("fear", {"browInnerUp": 1.0, "browOuterUp": 0.4, "browDown": 0.4, "eyeWide": 1.0, "mouthStretch": 0.9,
                       "mouthLowerDown": 0.35, "jawOpen": 0.3}),
    Prototype("fear", {"browInnerUp": 0.9, "browDown": 0.3, "eyeWide": 0.9, "mouthStretch": 1.0, "jawOpen": 0.12,
                       "mouthFrown": 0.3}),
    Prototype("disgust", {"noseSneer": 1.0, "mouthUpperUp": 0.75, "browDown": 0.6, "eyeSquint": 0.6,
                          "cheekSquint": 0.5, "mouthFrown": 0.4}),
    Prototype("disgust", {"noseSneer": 0.9, "mouthUpperUp": 0.5, "mouthShrugLower": 0.6, "browDown": 0.5,
                          "eyeSquint": 0.5, "mouthFrown": 0.5}),
    Prototype("anger", {"browDown": 1.0, "eyeWide": 0.35, "eyeSquint": 0.35, "mouthPress": 0.8, "mouthRollUpper": 0.3,
                        "mouthRollLower": 0.3, "noseSneer": 0.3, "jawForward": 0.3}),
    Prototype("anger", {"browDown": 1.0, "eyeSquint": 0.3, "eyeWide": 0.3, "noseSneer": 0.6, "mouthUpperUp": 0.4,
                        "mouthLowerDown": 0.6, "mouthStretch": 0.35, "jawOpen": 0.3, "mouthFrown": 0.3}),
    Prototype("contempt", {"mouthSmile": 0.7, "mouthDimple": 0.8, "cheekSquint": 0.3, "eyeSquint": 0.25,
                           "browOuterUp": 0.3},
              ("mouthSmile", "mouthDimple", "cheekSquint", "browOuterUp")),
    Prototype("contempt", {"mouthDimple": 0.9, "mouthUpperUp": 0.5, "mouthSmile": 0.4, "mouthPress": 0.4,
                           "eyeBlink": 0.2},
              ("mouthDimple", "mouthUpperUp", "mouthSmile")),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Emotion:
    """What a face shows.

    Attributes:
        label: Class in the order of `EMOTIONS`; the strongest of a mix.
        valence: -1 to 1.
        arousal: -1 to 1.
        units: (52,) ARKit's, 0 to 1, in the order of `CHANNELS`.
    """

    label: int
    valence: float
    arousal: float
    units: np.ndarray


def prototype_units(prototype: Prototype, side: str = "Left") -> np.ndarray:
    """(52,) units of a prototype at full strength; `side` is where what is one-sided shows."""
    units = np.zeros(len(CHANNELS))
    for name, amount in prototype.units.items():
        sides = (side,) if name in prototype.one_sided else _SIDES
        names = [name] if name in CHANNELS else [name + end for end in sides]
        units[[CHANNELS.index(each) for each in names]] = amount
    return units


def draw_emotion(random: np.random.Generator, label: int | None = None, mixed: float = 0.3) -> Emotion:
    """A random face of an emotion.

    Args:
        random: where the chances come from.
        label: its class; even over the classes by default.
        mixed: chance that another emotion shows through a little.
    """
    label = int(random.integers(len(EMOTIONS))) if label is None else label
    strength = random.uniform(0.5, 1.0)
    units, place = _shown(random, EMOTIONS[label], strength)
    if random.uniform() < mixed:
        other = EMOTIONS[random.integers(1, len(EMOTIONS))]
        more, other_place = _shown(random, other, 0.4 * strength * random.uniform() if label else 0.15)
        units, place = units + more, place + other_place
    lopsided = 1 + 0.1 * random.standard_normal(len(CHANNELS))
    stray = np.where(random.uniform(size=len(CHANNELS)) < 0.1, random.uniform(0, 0.12, len(CHANNELS)), 0)
    stray *= [not name.startswith(("eye", "jaw", "tongue", "mouthClose")) for name in CHANNELS]
    valence, arousal = np.clip(place + 0.04 * random.standard_normal(2), -1, 1)
    return Emotion(label, float(valence), float(arousal), np.clip(units * lopsided + stray, 0, 1))


def _shown(random: np.random.Generator, emotion: str, strength: float) -> tuple[np.ndarray, np.ndarray]:
    """Units, and valence with arousal, of one emotion at a strength."""
    choices = [prototype for prototype in PROTOTYPES if prototype.emotion == emotion]
    chosen = choices[random.integers(len(choices))]
    units = prototype_units(chosen, _SIDES[random.integers(2)])
    return strength * units, strength * np.array(PLACES[emotion])
