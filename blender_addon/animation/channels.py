# SPDX-License-Identifier: GPL-3.0-or-later
"""What a take says for each animated property of a head, as plain arrays. No bpy: tests and exports use it alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from .. import axes
from ..contract import rotations
from ..contract.head import JOINT_NAMES
from ..contract.take import Take


@dataclass(frozen=True)
class BoneChannels:
    """One bone over T frames, in the bone's own axes.

    Attributes:
        quaternion: (T, 4) w, x, y, z; without jumps of sign within a shot.
        location: (T, 3) metres; None where the bone never leaves its place.
    """

    quaternion: np.ndarray
    location: np.ndarray | None


@dataclass(frozen=True, eq=False)
class Setup:
    """What the head says about how a take is put on it.

    Attributes:
        joints: (3,) metres, head space, by joint name: where the bones rest.
        shifts: (T, 3) metres, head space, by joint: how far each joint is from where its bone rests, for heads whose
            joints follow the expression; None where they do not.
        origin: (3,) metres, camera space: the translation for which the head stands at its rig's origin.
        neck_share: Part of the head's rotation, 0 to 1, that the neck makes instead of the root.
    """

    joints: Mapping[str, np.ndarray]
    shifts: Mapping[str, np.ndarray] | None
    origin: np.ndarray
    neck_share: float = 0.0


def shot_starts(take: Take) -> np.ndarray:
    """(T,) bool, True on the first frame of each shot."""
    segment = take.extra.get("segment", np.zeros(len(take), np.int32))
    return np.concatenate(([True], np.diff(segment) != 0))


def key_values(take: Take, eyelid_keys: Iterable[str]) -> dict[str, np.ndarray]:
    """Values (T,) of the expression and eyelid keys by name."""
    values = dict(zip(take.meta.channels, take.expression.T, strict=True))
    return values | dict(zip(eyelid_keys, take.eyelids.T, strict=False))


def bone_channels(take: Take, setup: Setup) -> dict[str, BoneChannels]:
    """Rotations and locations of the five bones by joint name.

    A pivot moved by d equals the bone's rotation R with the translation (I - R) d. The root carries the head's way
    before the camera; with a neck share it also makes up for the neck's pivot, so that the face stays where it is.
    """
    turns = _turns(take, setup.neck_share)
    starts = shot_starts(take)
    channels = {}
    for joint, quaternion in turns.items():
        location = np.zeros((len(take), 3))
        if setup.shifts is not None:
            shift = setup.shifts[joint]
            location += shift - _rotated(quaternion, shift)
        if joint == "root":
            location += axes.to_head(axes.head_offset(take.translation, setup.origin))
            location += _neck_offset(take, quaternion, setup)
        turned = np.concatenate((quaternion[:, :1], axes.to_bone(joint, quaternion[:, 1:])), axis=-1)
        channels[joint] = BoneChannels(
            rotations.same_side(turned, starts), axes.to_bone(joint, location) if location.any() else None
        )
    return channels


def _turns(take: Take, neck_share: float) -> dict[str, np.ndarray]:
    """Unit quaternions (T, 4) of each joint about its parent, in head axes."""
    parts = (take.head_rotation, take.neck, take.jaw, take.eyes[:, :3], take.eyes[:, 3:])
    turns = {joint: axes.quaternions(part) for joint, part in zip(JOINT_NAMES, parts, strict=True)}
    if neck_share:
        head = take.head_rotation.astype(np.float64)
        turns["root"] = axes.quaternions(head * (1.0 - neck_share))
        turns["neck"] = rotations.multiply(axes.quaternions(head * neck_share), turns["neck"])
    return turns


def _neck_offset(take: Take, root: np.ndarray, setup: Setup) -> np.ndarray:
    if not setup.neck_share:
        return np.zeros((len(take), 3))
    arm = np.tile(setup.joints["neck"] - setup.joints["root"], (len(take), 1))
    if setup.shifts is not None:
        arm = arm + setup.shifts["neck"] - setup.shifts["root"]
    return _rotated(axes.quaternions(take.head_rotation), arm) - _rotated(root, arm)


def _rotated(quaternion: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    return np.einsum("tij,tj->ti", axes.matrices(quaternion), vectors)
