# SPDX-License-Identifier: GPL-3.0-or-later
"""A profile: with how much, and through what, each source drives a character. Its file is in `profile_file`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import get_args

import numpy as np

from ..axes import Facing
from ..contract.errors import ErrorCode, MienError
from .sources import MOTIONS, PLACE, SOURCES

MOST_GAIN = 100.0
MOST_POINTS = 32
MOST_TARGETS = 32
EXPONENTS = (0.05, 20.0)
_REMEDY = "Correct the profile, or choose another one."


def bad_profile(message: str, cause: str, remedy: str = _REMEDY) -> MienError:
    """BAD_PROFILE, with the cause in its details."""
    return MienError(ErrorCode.BAD_PROFILE, message, remedy, {"cause": cause})


def _require_name(name: object) -> None:
    if not isinstance(name, str) or not 0 < len(name.encode("utf-8", "replace")) <= 255:
        raise bad_profile("The name of a target is not a short text.", "target")


def _require_number(what: str, value: object, low: float, high: float) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not low <= value <= high:  # so are NaN and whole numbers beyond all floats
        raise bad_profile(f"The {what} {value!r:.40} is not a number from {low:g} to {high:g}.", "number")


@dataclass(frozen=True)
class Response:
    """The curve from a source's value to what is made of it: an exponent, or straight lines between points.

    Attributes:
        exponent: The value is raised to it, with its sign kept; 1 changes nothing.
        points: (input, output) with rising inputs, at least two; beyond the ends the last lines go on. Empty for the
            exponent.
    """

    exponent: float = 1.0
    points: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        _require_number("exponent", self.exponent, *EXPONENTS)
        if self.points and not 2 <= len(self.points) <= MOST_POINTS:
            raise bad_profile(f"A curve has {len(self.points)} points, not 2 to {MOST_POINTS}.", "curve")
        for point in self.points:
            _require_number("curve", point[0], -MOST_GAIN, MOST_GAIN)
            _require_number("curve", point[1], -MOST_GAIN, MOST_GAIN)
        inputs = [point[0] for point in self.points]
        if any(later - earlier < 1e-6 for earlier, later in zip(inputs, inputs[1:], strict=False)):
            raise bad_profile("The points of a curve do not rise from input to input.", "curve")

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Values (T,) through the curve."""
        if not self.points:
            return values if self.exponent == 1.0 else np.sign(values) * np.abs(values) ** self.exponent
        inputs, outputs = np.array(self.points).T
        slopes = np.diff(outputs) / np.diff(inputs)
        piece = np.clip(np.searchsorted(inputs, values, side="right") - 1, 0, len(slopes) - 1)
        return outputs[piece] + (values - inputs[piece]) * slopes[piece]


@dataclass(frozen=True)
class KeyTarget:
    """A shape key.

    Attributes:
        name: Its name, on every mesh of the character that has it.
        share: Factor on the value.
    """

    name: str
    share: float = 1.0

    def __post_init__(self) -> None:
        _require_name(self.name)
        _require_number("share", self.share, -MOST_GAIN, MOST_GAIN)


@dataclass(frozen=True)
class BoneTarget:
    """A bone. A turn drives it as it is, or, with `pivot`, moves it as what it aims; a weight moves and turns it.

    Attributes:
        names: The bone; of several names the first one that the character has counts.
        move: How far at 1, in head axes (to the person's left, up, out of the face), in lengths of the bone,
            or in the profile's unit.
        turn: How far at 1, axis-angle radians in head axes.
        toward: Names of a bone to whose rest place it goes at 1.
        share: Factor on all of it.
        pivot: Names of the bone that follows this one with its eyes.
    """

    names: tuple[str, ...]
    move: tuple[float, float, float] = (0.0, 0.0, 0.0)
    turn: tuple[float, float, float] = (0.0, 0.0, 0.0)
    toward: tuple[str, ...] = ()
    share: float = 1.0
    pivot: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.names:
            raise bad_profile("A target names no bone.", "target")
        for name in (*self.names, *self.toward, *self.pivot):
            _require_name(name)
        for value in (*self.move, *self.turn, self.share):
            _require_number("amount", value, -MOST_GAIN, MOST_GAIN)


Target = KeyTarget | BoneTarget


@dataclass(frozen=True)
class Row:
    """One source.

    Attributes:
        gain: Factor; of a turn on its angle.
        offset: Is added to it; weights only.
        response: Comes before gain and offset; weights only.
        use: Whether it drives anything; None to decide by what the character has.
        targets: What it drives; None to find that by name.
    """

    gain: float = 1.0
    offset: float = 0.0
    response: Response = Response()
    use: bool | None = None
    targets: tuple[Target, ...] | None = None

    def __post_init__(self) -> None:
        _require_number("gain", self.gain, -MOST_GAIN, MOST_GAIN)
        _require_number("offset", self.offset, -MOST_GAIN, MOST_GAIN)
        if self.targets is not None and len(self.targets) > MOST_TARGETS:
            raise bad_profile(f"A channel has more than {MOST_TARGETS} targets.", "target")

    def values(self, values: np.ndarray) -> np.ndarray:
        """Values (T,) of the source as the row makes them."""
        return self.response(values) * self.gain + self.offset


PLAIN = Row()


@dataclass(frozen=True)
class Profile:
    """How takes go to a character.

    Attributes:
        name: For the user.
        rows: By source; those that are left out are plain.
        facing: Where the face looks in the armature.
        place: Whether the head's bone also moves as the head did.
        widen: Whether sliders are widened for values beyond their range; otherwise values are held within it.
        only: Whether only what rows name is driven, and nothing is found by name.
        unit: Two bones, each by its possible names, whose distance at rest is what the bones' ways are measured in;
            empty for the lengths of the bones themselves.
    """

    name: str = "Auto"
    rows: Mapping[str, Row] = field(default_factory=dict)
    facing: Facing = "-Y"
    place: bool = False
    widen: bool = False
    only: bool = False
    unit: tuple[tuple[str, ...], ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or len(self.name) > 200:
            raise bad_profile("The profile's name is not a short text.", "name")
        if self.facing not in get_args(Facing):
            raise bad_profile(f"The profile faces '{self.facing}', not {', '.join(get_args(Facing))}.", "facing")
        if len(self.unit) not in (0, 2) or not all(self.unit):
            raise bad_profile("The profile's unit is not the distance of two bones.", "unit")
        for name in (name for names in self.unit for name in names):
            _require_name(name)
        for source, row in self.rows.items():
            _require_fitting(source, row)
        object.__setattr__(self, "rows", MappingProxyType(dict(self.rows)))

    def row(self, source: str) -> Row:
        """The row of a source."""
        return self.rows.get(source, PLAIN)


def _require_fitting(source: str, row: Row) -> None:
    if source not in SOURCES:
        raise bad_profile(f"There is no channel '{source}'.", "channel", "Use ARKit's names, VRM's, or the turns'.")
    if source not in MOTIONS:
        if any(isinstance(target, BoneTarget) and target.pivot for target in row.targets or ()):
            raise bad_profile(f"'{source}' aims a bone, which only a turn can.", "target")
        return
    if row.offset or row.response != Response():
        raise bad_profile(f"'{source}' is a motion and has a gain, but no offset and no curve.", "channel")
    if any(isinstance(target, KeyTarget) for target in row.targets or ()):
        raise bad_profile(f"'{source}' is a motion, which a shape key cannot take.", "target", "Name a bone instead.")
    if source == PLACE and any(target.pivot for target in row.targets or ()):  # type: ignore[union-attr]
        raise bad_profile(f"'{source}' aims a bone, which only a turn can.", "target")
