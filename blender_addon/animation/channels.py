# SPDX-License-Identifier: GPL-3.0-or-later
"""What a take says for each animated property of a head, as plain arrays. No bpy: tests and exports use it alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from .. import axes
from ..contract.head import JOINT_NAMES
from ..contract.take import Take


@dataclass(frozen=True)
class BoneChannels:
    """One bone over T frames, in the bone's own axes.

    Attributes:
        quaternion: (T, 4) w, x, y, z; without jumps of sign.
        location: (T, 3) metres; None where the bone never leaves its place.
    """

    quaternion: np.ndarray
    location: np.ndarray | None


def frame_numbers(time: np.ndarray, start: float, frames_per_second: float) -> np.ndarray:
    """Frame of each sample (T,), by its timestamp: the first falls on `start`."""
    return start + (np.asarray(time, dtype=np.float64) - time[0]) * frames_per_second


def key_values(take: Take, eyelid_keys: Iterable[str]) -> dict[str, np.ndarray]:
    """Values (T,) of the expression and eyelid keys by name."""
    values = dict(zip(take.meta.channels, take.expression.T, strict=True))
    return values | dict(zip(eyelid_keys, take.eyelids.T, strict=False))


def bone_channels(take: Take, joint_shifts: Mapping[str, np.ndarray] | None) -> dict[str, BoneChannels]:
    """Rotations and locations of the five bones.

    Args:
        take: The take.
        joint_shifts: (T, 3) metres, head space, by joint: how far each joint is from where its bone rests, for heads
            whose joints follow the expression; None where they do not. A pivot moved by d equals the bone's rotation R
            with the translation (I - R) d.

    Returns:
        Channels by joint name. In a take of several frames the root carries the head's way before a camera that
        stands where the first frame puts it.
    """
    rotations = dict(zip(JOINT_NAMES, _rotations(take), strict=True))
    channels = {}
    for joint, axis_angle in rotations.items():
        location = np.zeros((len(take), 3))
        if joint_shifts is not None:
            shift = joint_shifts[joint]
            turned = np.einsum("tij,tj->ti", axes.rotation_matrices(axis_angle), shift)
            location += axes.to_bone(joint, shift - turned)
        if joint == "root":
            moved = axes.head_offset(take.translation, take.translation[0])
            location += axes.to_bone(joint, axes.to_head(moved))
        quaternion = _continuous(axes.quaternions(axes.to_bone(joint, axis_angle)))
        channels[joint] = BoneChannels(quaternion, location if location.any() else None)
    return channels


def _rotations(take: Take) -> tuple[np.ndarray, ...]:
    return take.head_rotation, take.neck, take.jaw, take.eyes[:, :3], take.eyes[:, 3:]


def _continuous(quaternions: np.ndarray) -> np.ndarray:
    """Flip signs so that each quaternion is on the same side as the one before it."""
    flips = np.sign((quaternions[1:] * quaternions[:-1]).sum(axis=-1))
    signs = np.concatenate(([1.0], np.cumprod(np.where(flips == 0, 1.0, flips))))
    return quaternions * signs[:, None]
