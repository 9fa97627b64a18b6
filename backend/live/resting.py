# SPDX-License-Identifier: GPL-3.0-or-later
"""Watching a face at rest for a second, to calibrate by it."""

from __future__ import annotations

from backend.faces.face import Face
from backend.live.neutral import NeutralPose
from backend.live.solver import LiveSolver

RESTING_SECONDS = 1.0
MOST_FACES = 32
"""Frames that are kept of it."""


class RestingFace:
    """Frames of a resting face, and the calibration by them.

    Args:
        now: Seconds, when it begins; the same clock as for `over`.
    """

    def __init__(self, now: float) -> None:
        self._end = now + RESTING_SECONDS
        self._faces: list[Face] = []

    def add(self, face: Face) -> None:
        """Note a frame."""
        if len(self._faces) < MOST_FACES:
            self._faces.append(face)

    @property
    def seen(self) -> bool:
        """Whether there was a face."""
        return bool(self._faces)

    def over(self, now: float) -> bool:
        """Whether the second is over."""
        return now >= self._end

    def calibration(self, solver: LiveSolver) -> NeutralPose:
        """The resting face as a solver sees it; to be asked for again when the head was learnt anew.

        Raises:
            MienError: NO_FACE without any frame.
        """
        return NeutralPose.from_frames([solved.frame for solved in solver.all(self._faces)])
