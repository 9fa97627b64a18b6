# SPDX-License-Identifier: GPL-3.0-or-later
"""Calibration by the user's own resting face: what it shows at rest counts as neutral."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from backend.live.frames import LiveFrame
from blender_addon.contract import rotations
from blender_addon.contract.arrays import checked_array
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.projection import HEAD_TO_CAMERA

MOST_OFFSET = 0.7
"""Largest resting value that is taken off a channel; the rest of the way to 1 would be stretched too far."""
_CONJUGATE = np.array([1.0, -1.0, -1.0, -1.0])
_REMEDY = "Calibrate the neutral face again."


@dataclass(frozen=True, eq=False)
class NeutralPose:
    """A resting face.

    Attributes:
        expression: (E,) resting coefficients.
        unit: (E,) bool, channels within 0 and 1; what is left of them is stretched, so that 1 stays within reach.
        eyelids: (2,) left, right.
        jaw: (3,) axis-angle radians.
        eyes: (6,) axis-angle radians, left, right: the resting gaze.
        head_rotation: (3,) axis-angle radians, where the head's pose is calibrated too, else (0,).
        translation: (3,) metres, camera space, likewise.
    """

    expression: np.ndarray
    unit: np.ndarray
    eyelids: np.ndarray
    jaw: np.ndarray
    eyes: np.ndarray
    head_rotation: np.ndarray
    translation: np.ndarray

    @classmethod
    def from_frames(cls, frames: Sequence[LiveFrame], with_head: bool = False) -> NeutralPose:
        """The median of some frames of a resting face, so that a blink among them does not count.

        Args:
            frames: At least one.
            with_head: Whether head position and direction become the origin as well.

        Raises:
            MienError: NO_FACE without any frame.
        """
        if not frames:
            raise MienError(
                ErrorCode.NO_FACE,
                "No face was seen while the neutral face was calibrated.",
                "Look into the camera with a resting face and calibrate again.",
            )
        stacked = {
            field.name: np.stack([getattr(frame, field.name) for frame in frames]) for field in fields(LiveFrame)
        }
        expression = stacked["expression"]
        return cls(
            expression=np.median(expression, axis=0),
            unit=((expression >= 0) & (expression <= 1)).all(axis=0),
            eyelids=np.median(stacked["eyelids"], axis=0),
            jaw=_middle(stacked["jaw"]),
            eyes=np.concatenate([_middle(eye) for eye in np.split(stacked["eyes"], 2, axis=1)]),
            head_rotation=_middle(stacked["head_rotation"]) if with_head else np.zeros(0),
            translation=np.median(stacked["translation"], axis=0) if with_head else np.zeros(0),
        )

    def apply(self, frame: LiveFrame) -> LiveFrame:
        """The frame as seen from the resting face.

        With the head's pose calibrated, the resting head looks straight into the camera from the middle of the picture
        at its own distance, and nods and turns stay nods and turns even where the camera stands aside.
        """
        offset = self.expression
        taken = _rescaled(frame.expression, offset)
        result = replace(
            frame,
            expression=np.where(self.unit, taken, frame.expression - offset),
            eyelids=_rescaled(frame.eyelids, self.eyelids),
            jaw=_unturned(frame.jaw, self.jaw),
            eyes=np.concatenate([_unturned(frame.eyes[:3], self.eyes[:3]), _unturned(frame.eyes[3:], self.eyes[3:])]),
        )
        return self._before_camera(result) if len(self.head_rotation) else result

    def _before_camera(self, frame: LiveFrame) -> LiveFrame:
        back = rotations.to_quaternions(self.head_rotation) * _CONJUGATE
        moved = HEAD_TO_CAMERA @ (frame.translation - self.translation)
        ahead = np.array([0.0, 0.0, self.translation[2]])
        turn = rotations.multiply(back, rotations.to_quaternions(frame.head_rotation))
        return replace(
            frame,
            head_rotation=_short(turn),
            translation=ahead + HEAD_TO_CAMERA @ rotations.rotate(back, moved),
        )

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Plain arrays by name, for files and messages."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> NeutralPose:
        """Inverse of `to_arrays`.

        Raises:
            MienError: BAD_MESSAGE for arrays that are no calibration.
        """
        names = [field.name for field in fields(cls)]
        if set(names) != set(arrays):
            message = "The stored neutral face has missing or unknown arrays."
            raise MienError(ErrorCode.BAD_MESSAGE, message, _REMEDY)
        pose = 3 if np.size(arrays["head_rotation"]) else 0
        shapes = {"eyelids": 2, "jaw": 3, "eyes": 6, "head_rotation": pose, "translation": pose}
        dims: dict[str, int] = {}
        return cls(
            **{
                name: checked_array(
                    name,
                    arrays[name],
                    "bool" if name == "unit" else "float64",
                    (shapes.get(name, "E"),),
                    dims,
                    ErrorCode.BAD_MESSAGE,
                    _REMEDY,
                )
                for name in names
            }
        )


def _rescaled(values: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Values in 0..1 with the offset at 0 and 1 where it was."""
    offset = np.clip(offset, 0.0, MOST_OFFSET)
    return np.clip((values - offset) / (1 - offset), 0.0, 1.0)


def _unturned(axis_angle: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """(3,) the rotation from its resting place."""
    back = rotations.to_quaternions(rest) * _CONJUGATE
    return _short(rotations.multiply(rotations.to_quaternions(axis_angle), back))


def _middle(axis_angles: np.ndarray) -> np.ndarray:
    """(3,) median of rotations (N,3) that lie close together."""
    quaternions = rotations.to_quaternions(axis_angles)
    sides = np.where(quaternions @ quaternions[0] < 0, -1.0, 1.0)
    middle = np.median(quaternions * sides[:, None], axis=0)
    return _short(middle / np.linalg.norm(middle))


def _short(quaternion: np.ndarray) -> np.ndarray:
    """(3,) axis-angle of at most half a turn."""
    return rotations.to_axis_angles(quaternion if quaternion[0] >= 0 else -quaternion)
