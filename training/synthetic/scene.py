# SPDX-License-Identifier: GPL-3.0-or-later
"""A random person in a random moment: everything that is true of a synthetic picture, from a few numbers.

Chances come from the seed and the numbers of person and picture, so any picture can be made alone, in any order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from blender_addon.contract.arkit import BLINKS, CHANNELS, JAW, JAW_OPEN
from blender_addon.contract.head import HeadDescription
from training.model.layout import CodeLayout
from training.synthetic.emotions import Emotion, draw_emotion
from training.synthetic.light import draw_light
from training.synthetic.skin import Look, draw_look

_PERSONS = 0x5E1F
"""Keeps what a person is apart from what happens in the pictures: without it numpy takes (seed, person) and
(seed, person, 0) for the same."""
_TURN = np.radians([9.0, 18.0, 6.0])
"""Standard deviation of pitch, yaw and roll."""
_MOST = np.radians([25.0, 45.0, 20.0])
_GAZE = np.radians([8.0, 12.0])
_LOOK_DOWN = np.radians(14.0)
"""Of the eyes at a full eyeLookDown; the head's shape keys of gaze move the lids alone."""


@dataclass(frozen=True, eq=False)
class Person:
    """Who is seen: identity (S,) in standard deviations, 0 behind the layout's width, and a look."""

    number: int
    identity: np.ndarray
    look: Look


@dataclass(frozen=True, eq=False)
class Moment:
    """What a person does in one picture, as `HeadModel` takes it; float32, radians, head space.

    Attributes:
        emotion: what the face shows.
        expression: (E,) units of the head.
        head_rotation: (3,) axis-angle.
        jaw: (3,)
        eyes: (6,) left, right.
        eyelids: (2,) left, right.
        light: (9, 3) spherical harmonics.
        zoom: the crop's side over the face's size.
        shift: (2,) of the crop over the face's size.
    """

    emotion: Emotion
    expression: np.ndarray
    head_rotation: np.ndarray
    jaw: np.ndarray
    eyes: np.ndarray
    eyelids: np.ndarray
    light: np.ndarray
    zoom: float
    shift: np.ndarray


def draw_person(head: HeadDescription, seed: int, number: int) -> Person:
    """Person `number` of a seed."""
    random = np.random.default_rng((_PERSONS, seed, number))
    identity = np.zeros(head.identity.shape[2], np.float32)
    width = CodeLayout.of(head).identity  # what encoders give of FLAME's 300
    identity[:width] = random.normal(0, 0.9, width).clip(-2.5, 2.5)
    return Person(number, identity, draw_look(random))


def draw_moment(head: HeadDescription, random: np.random.Generator, label: int | None = None) -> Moment:
    """A random moment.

    Args:
        head: one whose channels are ARKit's.
        random: where the chances come from.
        label: class of the emotion; even by default.
    """
    emotion = draw_emotion(random, label)
    units = dict(zip(CHANNELS, emotion.units, strict=True))
    gaze = np.clip(random.normal(0, _GAZE), -2 * _GAZE, 2 * _GAZE)
    gaze[0] += _LOOK_DOWN * units["eyeLookDownLeft"]
    looks = {f"eyeLook{way}{side}": max(0.0, amount) for side in ("Left", "Right") for way, amount in (
        ("Down", gaze[0] / _LOOK_DOWN), ("Up", -gaze[0] / _LOOK_DOWN),
    )}  # fmt: skip
    units |= {name: min(value, 1.0) for name, value in looks.items()}
    lids = [min(1.0, units[name] + random.choice([0.0, random.uniform(0, 0.15)])) for name in BLINKS]
    speaking = random.uniform(0, 0.12) if random.uniform() < 0.3 else 0.0
    jaw = np.array([JAW_OPEN * min(units[JAW] + speaking, 1.0), random.normal(0, 0.01), 0.0])
    turn = np.clip(random.normal(0, _TURN), -_MOST, _MOST)
    arrays = (
        [units[name] for name in head.expression_names], turn, jaw, [*gaze, 0, *gaze, 0], lids,
    )  # fmt: skip
    return Moment(
        emotion, *(np.asarray(array, np.float32) for array in arrays), draw_light(random),
        zoom=random.uniform(1.25, 1.65), shift=random.normal(0, 0.03, 2).astype(np.float32),
    )  # fmt: skip
