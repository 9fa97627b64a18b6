# SPDX-License-Identifier: GPL-3.0-or-later
"""Live frames put together to a take."""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from backend.live.frames import LiveFrame
from backend.solve.shot import Shot
from blender_addon.contract.head import HeadDescription
from blender_addon.contract.options import CaptureOptions
from blender_addon.contract.projection import camera_matrix
from blender_addon.contract.smoothing import smooth, with_raw
from blender_addon.contract.take import Take

from .result import take_meta

_PARTS = tuple(field.name for field in fields(LiveFrame))


class Recording:
    """Frames of one person, one after the other.

    Args:
        options: Of the live capture.
        head: Its head.
        shot: Identity and camera of all frames.
        number: Which recording it is, from 1: the take's person.
    """

    def __init__(self, options: CaptureOptions, head: HeadDescription, shot: Shot, number: int) -> None:
        self._options = options
        self._head = head
        self._shot = shot
        self._number = number
        self._times: list[float] = []
        self._valid: list[bool] = []
        self._sure: list[float] = []
        self._arrays: dict[str, list[np.ndarray]] = {name: [] for name in _PARTS}

    def __len__(self) -> int:
        """Number of frames."""
        return len(self._times)

    def add(self, seconds: float, frame: LiveFrame, seen: bool, sure: float) -> None:
        """Add a frame.

        Args:
            seconds: Its time.
            frame: What it shows.
            seen: Whether the face was seen; otherwise the frame was filled in.
            sure: Confidence, [0,1].
        """
        self._times.append(seconds)
        self._valid.append(seen)
        self._sure.append(sure)
        for name, values in self._arrays.items():
            values.append(np.asarray(getattr(frame, name), dtype=np.float32))

    def take(self) -> Take:
        """All frames as they are."""
        count, (width, height) = len(self), self._shot.image_size
        times = np.array(self._times)
        rate = float(1 / np.median(np.diff(times))) if count > 1 else 0.0
        return Take(
            meta=take_meta(self._options, self._head, self._number, rate=rate),
            time=times,
            valid=np.array(self._valid),
            confidence=np.array(self._sure, np.float32),
            identity=self._shot.identity.astype(np.float32),
            **{name: np.stack(values) for name, values in self._arrays.items()},
            camera_matrix=camera_matrix(self._shot.focal.pixels, width, height),
            image_size=np.array([width, height], np.int32),
            crop_camera=np.zeros((count, 3), np.float32),  # pictures that are gone have no crops to go back to
            crop_transform=np.repeat(np.eye(3)[None], count, axis=0),
        )

    def smoothed(self) -> Take:
        """The frames smoothed as a clip's are, with their raw twins."""
        return smooth(with_raw(self.take()), self._options.smoothing)
