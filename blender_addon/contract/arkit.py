# SPDX-License-Identifier: GPL-3.0-or-later
"""A take as ARKit tells a face: 52 weights, and the angles of the head and the eyes; and back again.

A head whose channels carry ARKit's names needs no solving: its blinks are the eyelids and `jawOpen` is the jaw's turn.
Takes on other heads carry the weights that the backend solved from where the head's vertices go, as `arkit`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from . import rotations
from .errors import ErrorCode, MienError
from .take import Take

CHANNELS = (
    "eyeBlinkLeft", "eyeLookDownLeft", "eyeLookInLeft", "eyeLookOutLeft", "eyeLookUpLeft", "eyeSquintLeft",
    "eyeWideLeft", "eyeBlinkRight", "eyeLookDownRight", "eyeLookInRight", "eyeLookOutRight", "eyeLookUpRight",
    "eyeSquintRight", "eyeWideRight", "jawForward", "jawLeft", "jawRight", "jawOpen", "mouthClose", "mouthFunnel",
    "mouthPucker", "mouthLeft", "mouthRight", "mouthSmileLeft", "mouthSmileRight", "mouthFrownLeft", "mouthFrownRight",
    "mouthDimpleLeft", "mouthDimpleRight", "mouthStretchLeft", "mouthStretchRight", "mouthRollLower", "mouthRollUpper",
    "mouthShrugLower", "mouthShrugUpper", "mouthPressLeft", "mouthPressRight", "mouthLowerDownLeft",
    "mouthLowerDownRight", "mouthUpperUpLeft", "mouthUpperUpRight", "browDownLeft", "browDownRight", "browInnerUp",
    "browOuterUpLeft", "browOuterUpRight", "cheekPuff", "cheekSquintLeft", "cheekSquintRight", "noseSneerLeft",
    "noseSneerRight", "tongueOut",
)  # fmt: skip
"""ARKit's 52 blend shape locations in Apple's order."""
ANGLES = (
    "headYaw", "headPitch", "headRoll",
    "leftEyeYaw", "leftEyePitch", "leftEyeRoll",
    "rightEyeYaw", "rightEyePitch", "rightEyeRoll",
)  # fmt: skip
"""What Live Link Face adds to them."""
BLINKS = ("eyeBlinkLeft", "eyeBlinkRight")
JAW = "jawOpen"
MOUTH_CLOSE = "mouthClose"
"""Closes the lips of an open jaw; without one it means nothing."""
SOLVED = "arkit"
"""Name of the solved weights among a take's optional arrays."""
JAW_OPEN = np.radians(24.226)
"""The jaw's turn about x at a full `jawOpen`, as measured on the lower teeth of the open head's data."""

_EXPRESSIONS = frozenset(CHANNELS) - {*BLINKS, JAW}
_SIGNS = np.array([-1.0, 1.0, -1.0])  # yaw, pitch, roll


@dataclass(frozen=True, eq=False)
class ArkitCurves:
    """What ARKit would have recorded. Left is the person's left.

    Attributes:
        time: (T,) float64 seconds, not decreasing.
        weights: (T, 52) float64 in the order of `CHANNELS`, 0 to 1.
        angles: (T, 9) float64 radians in the order of `ANGLES`. The head's turn is towards the camera, the eyes' is in
            the head. As Unreal's ARKit plugin makes them: yaw is positive to the person's right, pitch downwards, roll
            towards the person's left shoulder; roll turns first, then pitch, then yaw.
        valid: (T,) bool, False where the face was not seen.
    """

    time: np.ndarray
    weights: np.ndarray
    angles: np.ndarray
    valid: np.ndarray

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.time)

    def weight(self, name: str) -> np.ndarray:
        """(T,) of one channel."""
        return self.weights[:, CHANNELS.index(name)]


def has_arkit(channels: Sequence[str]) -> bool:
    """Whether expression channels are ARKit's, without the blinks and `jawOpen`, which heads have otherwise."""
    return frozenset(channels) == _EXPRESSIONS


def require_arkit(take: Take) -> None:
    """Make sure that a take can be told in ARKit's channels.

    Raises:
        MienError: CANNOT_EXPORT.
    """
    if not has_arkit(take.meta.channels) and SOLVED not in take.extra:
        message = (
            f"The take of {take.meta.source} is on the head '{take.meta.head_id}', whose "
            f"{len(take.meta.channels)} expression channels are not ARKit's."
        )
        remedy = "Add ARKit's weights to the take with 'mien convert --arkit TAKE', or capture with the head 'open'."
        raise MienError(ErrorCode.CANNOT_EXPORT, message, remedy, {"cause": "channels"})


def arkit_curves(take: Take) -> ArkitCurves:
    """A take in ARKit's terms. Turns of the jaw other than its opening are none of them.

    Raises:
        MienError: CANNOT_EXPORT for a head with other channels and no solved weights.
    """
    require_arkit(take)
    head = rotations.multiply(rotations.to_quaternions(take.head_rotation), rotations.to_quaternions(take.neck))
    eyes = rotations.to_quaternions(take.eyes.reshape(-1, 2, 3))
    turns = np.concatenate((head[:, None], eyes), axis=1)
    return ArkitCurves(
        take.time,
        _weights(take),
        _angles(turns).reshape(len(take), -1),
        take.valid,
    )


def _weights(take: Take) -> np.ndarray:
    """(T, 52) float64."""
    if not has_arkit(take.meta.channels):
        return take.extra[SOLVED].astype(np.float64)
    values = dict(zip(take.meta.channels, take.expression.astype(np.float64).T, strict=True))
    values |= dict(zip(BLINKS, take.eyelids.astype(np.float64).T, strict=True))
    values[JAW] = take.jaw[:, 0].astype(np.float64) / JAW_OPEN
    return np.stack([values[name] for name in CHANNELS], axis=1)


def take_arrays(curves: ArkitCurves, channels: Sequence[str]) -> dict[str, np.ndarray]:
    """Inverse of `arkit_curves`: a take's `expression`, `eyelids`, `jaw`, `head_rotation`, `neck` and `eyes`.

    The neck's part of the head's turn is not told apart: it is zero.

    Args:
        curves: ARKit's.
        channels: Names of the head's expression channels; see `has_arkit`.
    """
    turns = rotations.to_axis_angles(_turns(curves.angles.reshape(len(curves), 3, 3)))
    jaw = np.zeros((len(curves), 3))
    jaw[:, 0] = curves.weight(JAW) * JAW_OPEN
    arrays = {
        "expression": np.stack([curves.weight(name) for name in channels], axis=1),
        "eyelids": np.stack([curves.weight(name) for name in BLINKS], axis=1),
        "jaw": jaw,
        "head_rotation": turns[:, 0],
        "neck": np.zeros((len(curves), 3)),
        "eyes": turns[:, 1:].reshape(len(curves), 6),
    }
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def _angles(quaternions: np.ndarray) -> np.ndarray:
    """Yaw, pitch, roll (..., 3) of unit quaternions (..., 4): R = Ry(-yaw) Rx(pitch) Rz(-roll) in head space."""
    w, x, y, z = np.moveaxis(quaternions, -1, 0)
    yaw = np.arctan2(2 * (w * y + x * z), 1 - 2 * (x * x + y * y))
    pitch = np.arcsin(np.clip(2 * (w * x - y * z), -1, 1))
    roll = np.arctan2(2 * (w * z + x * y), 1 - 2 * (x * x + z * z))
    return np.stack((yaw, pitch, roll), axis=-1) * _SIGNS


def _turns(angles: np.ndarray) -> np.ndarray:
    """Unit quaternions (..., 4) of yaw, pitch, roll (..., 3)."""
    yaw, pitch, roll = np.moveaxis(angles * _SIGNS, -1, 0)
    zero = np.zeros_like(yaw)
    about_y, about_x, about_z = (
        rotations.to_quaternions(np.stack(axis, axis=-1))
        for axis in ((zero, yaw, zero), (pitch, zero, zero), (zero, zero, roll))
    )
    return rotations.multiply(rotations.multiply(about_y, about_x), about_z)
