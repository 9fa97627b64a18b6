# SPDX-License-Identifier: GPL-3.0-or-later
"""Known motion of a head before a camera: what a synthetic clip shows, frame by frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from types import MappingProxyType

import numpy as np

from backend.heads.open_head.expressions import mirrored_name
from blender_addon.contract.arkit import JAW_OPEN
from blender_addon.contract.head import HeadDescription

STILL_SECONDS = 1.2
DISTANCE = 1.0
"""Metres from the camera at the start."""
FULL_GAZE = np.radians(30.0)
"""Eye rotation that goes with an eyeLook unit of 1."""
_HOLD = 0.3
"""Part of a gesture during which it stays at its height."""


@dataclass(frozen=True)
class Span:
    """Frames `first` to `last`, both inclusive, that a gesture takes."""

    name: str
    first: int
    last: int


@dataclass(frozen=True, eq=False)
class Motion:
    """One person through a clip of T frames; rotations as axis-angle in radians, lengths in metres.

    Attributes:
        time: (T,) seconds.
        identity: (S,) standard deviations.
        expression: (T, E) in the order of the head's channels.
        eyelids: (T, 2) closure, left and right.
        jaw, head_rotation: (T, 3).
        eyes: (T, 6) left, then right.
        translation: (T, 3) camera space.
        present: (T,) bool, whether the person is in the picture at all.
        segment: (T,) int32 shot, counted through the cuts.
        spans: which gesture was when.
    """

    time: np.ndarray
    identity: np.ndarray
    expression: np.ndarray
    eyelids: np.ndarray
    jaw: np.ndarray
    eyes: np.ndarray
    head_rotation: np.ndarray
    translation: np.ndarray
    present: np.ndarray
    segment: np.ndarray
    spans: tuple[Span, ...] = ()

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.time)

    def during(self, name: str) -> np.ndarray:
        """(T,) bool: frames of the gestures with this name."""
        frames = np.zeros(len(self), bool)
        for span in self.spans:
            frames[span.first : span.last + 1] |= span.name == name
        return frames


class _Track:
    """Curves that gestures add to."""

    def __init__(self, time: np.ndarray, names: Sequence[str], random: np.random.Generator) -> None:
        self.time, self.random, self._names = time, random, list(names)
        self.expression = np.zeros((len(time), len(names)))
        self.eyelids, self.jaw = np.zeros((len(time), 2)), np.zeros(len(time))
        self.gaze = np.zeros((len(time), 2))
        self.rotation, self.shift = np.zeros((len(time), 3)), np.zeros((len(time), 3))

    def add(self, unit: str, curve: np.ndarray) -> None:
        """Add to one channel of the expression."""
        self.expression[:, self._names.index(unit)] += curve

    def bump(self, start: float, end: float, hold: float = _HOLD) -> np.ndarray:
        """(T,) from 0 to 1 and back, at rest before `start` and after `end`."""
        ramp = (1 - hold) / 2 * (end - start)
        return _eased((self.time - start) / ramp) * _eased((end - self.time) / ramp)

    def swing(self, start: float, end: float) -> np.ndarray:
        """(T,) from 0 to 1, to -1 and back to 0."""
        third = (end - start) / 3
        there = _eased((self.time - start) / third)
        across = _eased((self.time - start - third) / third)
        back = _eased((self.time - end + third) / third)
        return there - 2 * across + back

    def between(self, low: float, high: float) -> float:
        """A random number."""
        return float(self.random.uniform(low, high))

    def sign(self) -> float:
        """1 or -1."""
        return float(self.random.choice([-1.0, 1.0]))


def _eased(progress: np.ndarray) -> np.ndarray:
    """Smooth step without jumps of speed or acceleration: the minimum-jerk path (Flash and Hogan 1985)."""
    x = np.clip(progress, 0, 1)
    return x**3 * (10 - 15 * x + 6 * x * x)


Gesture = Callable[[_Track, float, float], None]


def _turning(axis: int, low: float, high: float) -> Gesture:
    """Turn the head to one side and to the other by an angle between `low` and `high` degrees."""

    def gesture(track: _Track, start: float, end: float) -> None:
        angle = np.radians(track.between(low, high)) * track.sign()
        track.rotation[:, axis] += angle * track.swing(start, end)

    return gesture


def _approach(track: _Track, start: float, end: float) -> None:
    curve = track.bump(start, end)
    track.shift += np.outer(curve, [track.between(-0.03, 0.03), track.between(-0.01, 0.01), -track.between(0.15, 0.22)])


def _units(**amounts: float) -> Gesture:
    """Move units to an amount and back, twice, the two sides not quite alike."""

    def gesture(track: _Track, start: float, end: float) -> None:
        middle = (start + end) / 2
        for first, last in ((start, middle), (middle, end)):
            height = track.between(0.65, 1.0)
            for unit, amount in amounts.items():
                track.add(unit, amount * height * track.between(0.9, 1.0) * track.bump(first, last))

    return gesture


def _jaw(track: _Track, start: float, end: float) -> None:
    middle = (start + end) / 2
    for first, last in ((start, middle), (middle, end)):
        track.jaw += JAW_OPEN * track.between(0.4, 0.85) * track.bump(first, last)


def _speech(track: _Track, start: float, end: float) -> None:
    """Syllables, four or five a second, with lips that round and spread."""
    time = start
    while time < end - 0.3:
        length = track.between(0.22, 0.36)
        syllable = track.bump(time, time + length, 0.1)
        track.jaw += JAW_OPEN * track.between(0.12, 0.45) * syllable
        unit = ("mouthPucker", "mouthSmile", "")[track.random.integers(3)]
        amount = track.between(0.2, 0.45)
        for side in ("Left", "Right") if unit == "mouthSmile" else ("",) if unit else ():
            track.add(unit + side, amount * syllable)
        time += 0.8 * length


def _looking(axis: int, low: float, high: float) -> Gesture:
    """Look to one side and to the other, by an angle between `low` and `high` degrees."""

    def gesture(track: _Track, start: float, end: float) -> None:
        angle = np.radians(track.between(low, high)) * track.sign()
        track.gaze[:, axis] += angle * track.swing(start, end)

    return gesture


GESTURES: Mapping[str, Gesture] = MappingProxyType(
    {
        "turn": _turning(1, 16, 24),
        "nod": _turning(0, 8, 12),
        "tilt": _turning(2, 8, 14),
        "approach": _approach,
        "smile": _units(mouthSmileLeft=0.9, mouthSmileRight=0.9),
        "brows": _units(browInnerUp=0.9, browOuterUpLeft=0.9, browOuterUpRight=0.9),
        "pucker": _units(mouthPucker=0.9),
        "jaw": _jaw,
        "speech": _speech,
        "gaze": _looking(1, 14, 20),
        "frown": _units(browDownLeft=0.9, browDownRight=0.9),
        "glance": _looking(0, 10, 14),
        "aside": _units(mouthLeft=0.9),
    }
)
POSES = ("turn", "nod", "tilt", "approach")
"""Gestures of the head; those of the face go on meanwhile."""
ALL_GESTURES = ("still", "blink", *GESTURES)
UNSEEN = ("frown", "glance", "aside")
"""Gestures that the detector hardly sees on the open head: it scores browDown and eyeLookUp at most .1 and mouthLeft at
most .25 where the truth is .8. The same goes for all units that no gesture has (at most .2), but for eyeSquint."""
SEEN_GESTURES = tuple(name for name in ALL_GESTURES if name not in UNSEEN)


def make_motion(
    head: HeadDescription,
    seed: int,
    seconds: float = 10.0,
    rate: float = 30.0,
    gestures: Sequence[str] = SEEN_GESTURES,
    place: Sequence[float] = (0.0, 0.02, DISTANCE),
    identity_sigma: float = 1.0,
    usual_size: bool = False,
) -> Motion:
    """A random person who sits still first, then moves head and face, each gesture after the other.

    Args:
        head: with ARKit units.
        seed: of everything random; the same seed gives the same motion.
        seconds: length.
        rate: frames a second.
        gestures: of `ALL_GESTURES`, in their order; "still" is always first, "blink" goes on throughout the rest.
        place: of the head at rest, metres, camera space.
        identity_sigma: spread of the identity's coefficients.
        usual_size: take a person whose face is as large as the average one. Heads of the open model differ in size by
            4 % (standard deviation), which one camera cannot tell from distance.
    """
    random = np.random.default_rng(seed)
    time = np.arange(max(1, round(seconds * rate))) / rate
    track = _Track(time, head.expression_names, random)
    identity = random.normal(size=head.identity.shape[2]) * identity_sigma
    if usual_size:
        identity = of_usual_size(head, identity)
    begin = STILL_SECONDS if "still" in gestures else 0.0
    spans = [_span("still", 0, begin, rate, len(time))] if begin else []
    for lane in (POSES, [name for name in GESTURES if name not in POSES]):
        chosen = [name for name in gestures if name in lane]
        edges = np.linspace(begin, seconds - 1 / rate, len(chosen) + 1)
        for name, start, end in zip(chosen, edges[:-1], edges[1:], strict=True):
            GESTURES[name](track, float(start), float(end))
            spans.append(_span(name, start, end, rate, len(time)))
    if "blink" in gestures:
        spans += _blink(track, begin, seconds, rate)
    _look(track)
    zeros = np.zeros(len(time))
    return Motion(
        time=time,
        identity=identity,
        expression=track.expression.clip(0, 1),
        eyelids=track.eyelids.clip(0, 1),
        jaw=np.stack([track.jaw.clip(0, 0.9 * JAW_OPEN), zeros, zeros], axis=1),
        eyes=np.concatenate([track.gaze, zeros[:, None]] * 2, axis=1),
        head_rotation=track.rotation,
        translation=np.asarray(place) + track.shift,
        present=np.ones(len(time), bool),
        segment=np.zeros(len(time), np.int32),
        spans=tuple(spans),
    )


def of_usual_size(head: HeadDescription, identity: np.ndarray) -> np.ndarray:
    """The nearest identity (S,) of which the landmarks are, to first order, as far apart as the average head's."""
    marks = head.landmarks["mediapipe478"]
    corners, weights = head.faces[marks.faces], marks.barycentric.astype(np.float64)
    points = np.einsum("nk,nkd->nd", weights, head.template[corners])
    moves = np.einsum("nk,nkds->nds", weights, head.identity[corners], optimize=True)
    gradient = np.einsum("nd,nds->s", points - points.mean(0), moves - moves.mean(0))
    return identity - gradient * (gradient @ identity) / (gradient @ gradient)


def _span(name: str, start: float, end: float, rate: float, count: int) -> Span:
    return Span(name, round(start * rate), min(round(end * rate), count) - 1)


def _blink(track: _Track, begin: float, seconds: float, rate: float) -> list[Span]:
    """Close both lids fully now and then: half closed or more for 0.15 s, quicker to close than to open."""
    spans, time = [], begin + track.between(0.3, 0.8)
    while time < seconds - 0.4:
        closed = round(time * rate) / rate
        closing, opening = 0.1, 0.17
        rising = _eased((track.time - closed + closing) / closing)
        falling = _eased((closed + 1 / rate + opening - track.time) / opening)
        track.eyelids += (rising * falling)[:, None]
        spans.append(_span("blink", closed - closing, closed + opening + 2 / rate, rate, len(track.time)))
        time += track.between(1.2, 2.2)
    return spans


def _look(track: _Track) -> None:
    """The units that go with the eyes' rotations."""
    down, left = track.gaze.T / FULL_GAZE
    for side, outwards in (("Left", left), ("Right", -left)):
        for unit, amount in (("Out", outwards), ("In", -outwards), ("Down", down), ("Up", -down)):
            track.add(f"eyeLook{unit}{side}", amount.clip(0))


def mirrored(motion: Motion, head: HeadDescription) -> Motion:
    """The motion as a mirror shows it; the identity is left as it is, so only a symmetric one is mirrored too."""
    names = head.expression_names
    turn = np.array([1.0, -1.0, -1.0])
    return replace(
        motion,
        expression=motion.expression[:, [names.index(mirrored_name(name)) for name in names]],
        eyelids=motion.eyelids[:, [1, 0]],
        jaw=motion.jaw * turn,
        eyes=motion.eyes[:, [3, 4, 5, 0, 1, 2]] * np.tile(turn, 2),
        head_rotation=motion.head_rotation * turn,
        translation=motion.translation * [-1, 1, 1],
    )


def leaving(motion: Motion, second: float, sideways: float = 0.9) -> Motion:
    """The person walks out of the picture to the right within a second, and is gone."""
    gone = _eased(motion.time - second)
    out = motion.translation + np.outer(gone, [sideways, 0, 0])
    return replace(motion, translation=out, present=motion.present & (gone < 1))


def visible_between(motion: Motion, first: int, last: int) -> Motion:
    """The person is in the picture on frames `first` to `last` only."""
    frame = np.arange(len(motion))
    return replace(motion, present=motion.present & (frame >= first) & (frame <= last))


def cut(motion: Motion, frame: int, move: Sequence[float] = (0.0, 0.0, 0.0)) -> Motion:
    """A new shot begins with `frame`, from where the person stands elsewhere."""
    after = np.arange(len(motion)) >= frame
    return replace(
        motion,
        segment=motion.segment + after.astype(np.int32),
        translation=motion.translation + np.outer(after, move),
    )


def picked(motion: Motion, frames: Sequence[int], rate: float) -> Motion:
    """Some frames of a motion, one after the other."""
    rows = list(frames)
    parts = {item.name: getattr(motion, item.name)[rows] for item in fields(motion) if item.name in _BY_FRAME}
    return replace(motion, **parts | {"time": np.arange(len(rows)) / rate}, spans=())


def five_frames(head: HeadDescription, seed: int, rate: float = 5.0) -> Motion:
    """Five different views of a random person: from the front, from both sides, smiling, with the mouth open."""
    motion = make_motion(head, seed, 8.0, gestures=("turn", "nod", "approach", "smile", "jaw"))
    turning = np.flatnonzero(motion.during("turn"))
    yaw, smile = motion.head_rotation[turning, 1], motion.expression.sum(1)
    found = [0, turning[yaw.argmin()], turning[yaw.argmax()], smile.argmax(), motion.jaw[:, 0].argmax()]
    return picked(motion, [int(frame) for frame in found], rate)


_BY_FRAME = {item.name for item in fields(Motion)} - {"identity", "spans"}
