# SPDX-License-Identifier: GPL-3.0-or-later
"""From a take to the values of a character's keys and bones, as plain arrays. No bpy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from .. import axes
from ..animation.channels import shot_starts
from ..contract import rotations
from ..contract.arkit import CHANNELS, arkit_curves
from ..contract.take import Take
from ..contract.vrm import vrm_weights
from .matching import Found, Link, State
from .parts import Bone, Parts
from .profile import BoneTarget, KeyTarget, Profile
from .sources import EYE_LEFT, EYE_RIGHT, HEAD, JAW, PLACE, TURNS, WEIGHTS


@dataclass(frozen=True, eq=False)
class FaceCurves:
    """A take as sources. T frames.

    Attributes:
        weights: (T,) by name of each of `sources.WEIGHTS`.
        turns: (T, 4) unit quaternions in head axes, by name of each of `sources.TURNS`.
        place: (T, 3) metres in head axes that the head went.
        starts: (T,) bool, True on the first frame of each shot.
    """

    weights: Mapping[str, np.ndarray]
    turns: Mapping[str, np.ndarray]
    place: np.ndarray
    starts: np.ndarray

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.place)


@dataclass(frozen=True, eq=False)
class Values:
    """What a take makes of a character.

    Attributes:
        keys: (T,) by mesh and key.
        bones: By bone, in its own axes; rotation or location is None where nothing drives it.
    """

    keys: Mapping[tuple[str, str], np.ndarray] = field(default_factory=dict)
    bones: Mapping[str, Motion] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Motion:
    """A bone over T frames, in its own axes at rest.

    Attributes:
        quaternion: (T, 4) w, x, y, z; None where it is not turned.
        location: (T, 3) in units of the armature; None where it is not moved.
    """

    quaternion: np.ndarray | None
    location: np.ndarray | None


def face_curves(take: Take, origin: np.ndarray | None = None) -> FaceCurves:
    """The sources of a take.

    Args:
        take: The take.
        origin: (3,) metres, camera space, from where the head's place counts; None for the take's first frame.

    Raises:
        MienError: CANNOT_EXPORT for a take of a head without ARKit's channels.
    """
    curves = arkit_curves(take)
    weights = dict(zip(CHANNELS, curves.weights.T, strict=True)) | vrm_weights(curves)
    turn = rotations.to_quaternions
    turns = {
        HEAD: rotations.multiply(turn(take.head_rotation), turn(take.neck)),
        JAW: turn(take.jaw),
        EYE_LEFT: turn(take.eyes[:, :3]),
        EYE_RIGHT: turn(take.eyes[:, 3:]),
    }
    begin = take.translation[0] if origin is None else origin
    place = axes.to_head(axes.head_offset(take.translation, begin))
    return FaceCurves(weights, turns, place, shot_starts(take))


def evaluate(face: FaceCurves, parts: Parts, profile: Profile, found: Mapping[str, Found]) -> Values:
    """The values of everything that a match drives. What several sources drive is their sum; turns follow one another.

    Args:
        face: The take.
        parts: The character.
        profile: Gains, offsets and curves.
        found: From `matching.match` of the same character and profile.
    """
    keys: dict[tuple[str, str], np.ndarray] = {}
    moves: dict[str, np.ndarray] = {}
    tilts: dict[str, np.ndarray] = {}
    turns: dict[str, np.ndarray] = {}
    for source, value, link in _driven(face, profile, found):
        if isinstance(link.target, KeyTarget):
            for mesh in link.meshes:
                _add(keys, (mesh, link.target.name), value * link.target.share)
            continue
        name = link.target.names[0]
        if source == PLACE:
            _add(moves, name, value * link.target.share / parts.scale)
        elif source not in TURNS:
            if (way := _way(parts, profile, link)).any():
                _add(moves, name, value[:, None] * way)
            if any(link.target.turn):
                _add(tilts, name, value[:, None] * np.array(link.target.turn) * link.target.share)
        elif link.target.pivot:
            _add(moves, name, _aim(parts, profile, link.target, _part(value, link.target.share)))
        else:
            turned = _part(value, link.target.share)
            turns[name] = rotations.multiply(turns[name], turned) if name in turns else turned
    for name, tilt in tilts.items():
        tilted = axes.quaternions(tilt)
        turns[name] = rotations.multiply(turns[name], tilted) if name in turns else tilted
    names = [name for name in parts.bones if name in turns or name in moves]
    return Values(keys, {name: _motion(parts.bones[name], profile, face, turns.get(name), moves.get(name))
                         for name in names})  # fmt: skip


def _driven(face: FaceCurves, profile: Profile, found: Mapping[str, Found]) -> Iterator[tuple[str, np.ndarray, Link]]:
    """Each driving source and link with the source's values, after gain, offset and curve."""
    for source, answer in found.items():
        if answer.state is not State.DRIVES:
            continue
        row = profile.row(source)
        if source in WEIGHTS:
            value = row.values(face.weights[source])
        elif source == PLACE:
            value = face.place * row.gain
        else:
            value = _part(face.turns[source], row.gain)
        for link in answer.links:
            yield source, value, link


def _add(sums: dict, key: object, value: np.ndarray) -> None:
    sums[key] = sums[key] + value if key in sums else value


def _part(quaternions: np.ndarray, share: float) -> np.ndarray:
    return quaternions if share == 1.0 else rotations.power(quaternions, np.full(len(quaternions), share))


def _way(parts: Parts, profile: Profile, link: Link) -> np.ndarray:
    """(3,) head axes, units of the armature: how far a bone goes at 1."""
    target = link.target
    bone = parts.bones[target.names[0]]
    way = np.array(target.move) * link.unit
    if target.toward:
        way = way + axes.FACINGS[profile.facing].T @ (parts.bones[target.toward[0]].head - bone.head)
    return way * target.share


def _aim(parts: Parts, profile: Profile, target: BoneTarget, turns: np.ndarray) -> np.ndarray:
    """(T, 3) head axes: how far what an eye looks at goes, for the eye to turn so."""
    bone, eye = parts.bones[target.names[0]], parts.bones[target.pivot[0]]
    arm = axes.FACINGS[profile.facing].T @ (bone.head - eye.head)
    return rotations.rotate(turns, arm) - arm


def _motion(bone: Bone, profile: Profile, face: FaceCurves, turn: np.ndarray | None, way: np.ndarray | None) -> Motion:
    basis = axes.rest_basis(bone.rest, profile.facing)
    return Motion(
        None if turn is None else rotations.same_side(axes.turns_to_rest(basis, turn), face.starts),
        None if way is None else axes.to_rest(basis, way),
    )
