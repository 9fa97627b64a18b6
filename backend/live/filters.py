# SPDX-License-Identifier: GPL-3.0-or-later
"""Causal smoothing of live frames: the One Euro filter (Casiez, Roussel and Vogel, CHI 2012) on real timestamps.

A low-pass filter whose cutoff rises with speed: still channels are calm, fast ones (blinks, jumps of the eyes, a nod)
come through at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backend.live.frames import LiveFrame
from backend.solve.gaps import RELAX_SECONDS
from blender_addon.contract import rotations
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.placement import face_place, translation_to
from blender_addon.contract.smoothing import DEFAULT_STRENGTH, Group, channel_group

RETURN_SECONDS = 0.25
"""Time in which a face that was lost for at least as long is taken up again; after shorter losses it is shorter."""
_CONJUGATE = np.array([1.0, -1.0, -1.0, -1.0])


@dataclass(frozen=True)
class _Tuning:
    """One Euro's constants for a kind of channel.

    Attributes:
        cutoff: Hz, at rest.
        gain: Hz by which a unit a second raises the cutoff.
        speed_cutoff: Hz, of the filter of the speed.
    """

    cutoff: float
    gain: float
    speed_cutoff: float


_COEFFICIENT: dict[Group, _Tuning] = {
    "brows": _Tuning(1.2, 3.0, 2.0),
    "lids": _Tuning(2.0, 10.0, 12.0),
    "mouth": _Tuning(1.5, 4.0, 3.0),
    "jaw": _Tuning(1.5, 4.0, 3.0),
    "gaze": _Tuning(1.5, 4.0, 3.0),
    "pose": _Tuning(1.0, 8.0, 2.0),
}
_HEAD = _Tuning(1.0, 30.0, 2.0)
_JAW = _Tuning(1.5, 40.0, 3.0)
_EYE = _Tuning(1.5, 15.0, 6.0)
_PLACE = _Tuning(1.0, 100.0, 2.0)
_DEPTH = _Tuning(0.8, 20.0, 1.5)


class CausalFilter:
    """Smooths frames as they come; frames without a face let the expression relax and hold the pose.

    Args:
        channels: Names of the expression channels.
        strength: 0 lets everything through, 0.5 is the default, 1 is strong.

    Raises:
        MienError: USAGE for a strength out of range.
    """

    def __init__(self, channels: Sequence[str], strength: float = DEFAULT_STRENGTH):
        if not 0 <= strength <= 1:
            raise MienError(ErrorCode.USAGE, f"Smoothing {strength} is out of range.", "Use a number from 0 to 1.")
        factor = strength / DEFAULT_STRENGTH
        coefficients = [_COEFFICIENT[channel_group(name)] for name in channels] + [_COEFFICIENT["lids"]] * 2
        self._channels = len(channels)
        self._coefficients = _OneEuro(coefficients, factor, _Line())
        self._place = _OneEuro([_PLACE, _PLACE, _DEPTH], factor, _Line())
        self._turns = _OneEuro([_HEAD, _HEAD, _JAW, _EYE, _EYE], factor, _Turning())
        self._time: float | None = None
        self._last: LiveFrame | None = None
        self._lost = self._back = 0.0

    def reset(self) -> None:
        """Forget all frames, as after a cut or for another person."""
        self._time = self._last = None
        self._lost = self._back = 0.0
        for part in (self._coefficients, self._place, self._turns):
            part.value = None

    def update(self, time: float, frame: LiveFrame | None) -> LiveFrame | None:
        """Take one frame.

        Args:
            time: Seconds; a frame that is not later than the one before it is left out.
            frame: None where there is no face.

        Returns:
            The smoothed frame; None before the first face.
        """
        if self._time is not None and time <= self._time:
            return self._last
        step = time - self._time if self._time is not None else math.inf
        if frame is not None:
            self._last = self._smoothed(frame, step)
            self._time = time
        elif self._last is not None:
            self._last = self._relaxed(step)
            self._time = time
        return self._last

    def _smoothed(self, frame: LiveFrame, step: float) -> LiveFrame:
        most = self._taken_up(step)
        values = self._coefficients.update(np.concatenate((frame.expression, frame.eyelids)), step, most)
        turns = np.concatenate((frame.head_rotation, frame.neck, frame.jaw, frame.eyes)).reshape(5, 3)
        turns = self._turns.update(rotations.to_quaternions(turns), step, most)
        place = self._place.update(face_place(frame.head_rotation, frame.translation), step, most)
        return self._frame(values, turns, place)

    def _taken_up(self, step: float) -> float:
        """Largest part of the way to a frame that may be gone: grows to 1 after a loss."""
        if not self._lost:
            return 1.0
        self._back += step
        most = min(1.0, self._back / min(self._lost, RETURN_SECONDS))
        if most == 1.0:
            self._lost = self._back = 0.0
        return most

    def _relaxed(self, step: float) -> LiveFrame:
        """Expression, eyelids, jaw and eyes on their way to rest, as in `gaps`."""
        self._lost, self._back = self._lost + step, 0.0
        left = math.exp(-step / RELAX_SECONDS)
        parts = np.array([1.0, 1.0, left, left, left])
        values = self._coefficients.rest(self._coefficients.value * left)
        turns = self._turns.rest(rotations.power(self._turns.value, parts))
        return self._frame(values, turns, self._place.rest(self._place.value))

    def _frame(self, values: np.ndarray, turns: np.ndarray, place: np.ndarray) -> LiveFrame:
        shorter = np.where(turns[:, :1] < 0, -turns, turns)
        head, neck, jaw, left, right = rotations.to_axis_angles(shorter)
        return LiveFrame(
            expression=values[: self._channels],
            eyelids=np.clip(values[self._channels :], 0.0, 1.0),
            head_rotation=head,
            neck=neck,
            jaw=jaw,
            eyes=np.concatenate((left, right)),
            translation=translation_to(place, head),
        )


class _Line:
    """Numbers: N values, each with its own speed."""

    @staticmethod
    def way(start: np.ndarray, end: np.ndarray) -> np.ndarray:
        return end - start

    @staticmethod
    def go(start: np.ndarray, end: np.ndarray, part: np.ndarray) -> np.ndarray:
        return start + part * (end - start)

    @staticmethod
    def size(way: np.ndarray) -> np.ndarray:
        return np.abs(way)


class _Turning:
    """Rotations: N unit quaternions (N,4), speeds (N,3)."""

    @staticmethod
    def way(start: np.ndarray, end: np.ndarray) -> np.ndarray:
        turn = rotations.multiply(end, start * _CONJUGATE)
        return rotations.to_axis_angles(np.where(turn[:, :1] < 0, -turn, turn))

    @staticmethod
    def go(start: np.ndarray, end: np.ndarray, part: np.ndarray) -> np.ndarray:
        return rotations.slerp(start, end, part)

    @staticmethod
    def size(way: np.ndarray) -> np.ndarray:
        return np.linalg.norm(way, axis=-1)


class _OneEuro:
    """N channels side by side: equation numbers are those of the paper.

    Args:
        tunings: N.
        factor: How much longer than by default everything takes.
        space: How values are subtracted and mixed.
    """

    def __init__(self, tunings: Sequence[_Tuning], factor: float, space: _Line | _Turning):
        self._cutoff = np.array([tuning.cutoff for tuning in tunings])
        self._gain = np.array([tuning.gain for tuning in tunings])
        self._speed_cutoff = np.array([tuning.speed_cutoff for tuning in tunings])
        self._factor = factor
        self._space = space
        self.value: np.ndarray | None = None
        self._speed: np.ndarray | None = None

    def update(self, value: np.ndarray, step: float, most: float) -> np.ndarray:
        """The smoothed value `step` seconds after the one before, at `most` this part of the way to the new one."""
        if self.value is None:
            return self.rest(value)
        way = self._space.way(self.value, value)
        follow = self._part(self._speed_cutoff, step)
        follow = follow.reshape(follow.shape + (1,) * (way.ndim - 1))
        self._speed += follow * (way / step - self._speed)
        cutoff = self._cutoff + self._gain * self._space.size(self._speed)  # equation 9
        self.value = self._space.go(self.value, value, np.minimum(self._part(cutoff, step), most))
        return self.value

    def rest(self, value: np.ndarray) -> np.ndarray:
        """Take a value as it is and stand still there."""
        self.value = np.array(value, dtype=np.float64)
        self._speed = np.zeros_like(self._space.way(self.value, self.value))
        return self.value

    def _part(self, cutoff: np.ndarray, step: float) -> np.ndarray:
        """Part of the way that an exponential filter goes in one step, equations 5 and 6."""
        return 1 / (1 + self._factor / (2 * np.pi * cutoff * step))
