# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings of a live capture: begun when they are asked for and there is a face, kept when they end."""

from __future__ import annotations

from collections.abc import Callable

from backend.faces.face import Face
from backend.live.neutral import NeutralPose
from backend.live.solver import LiveSolver, SolvedFrame
from backend.solve.shot import Shot
from blender_addon.contract.head import HeadDescription
from blender_addon.contract.options import CaptureOptions
from blender_addon.contract.take import Take

from .recording import Recorded, Recording

_NOTHING = "Nothing was recorded"


class Recorder:
    """Makes recordings, one after the other.

    Args:
        options: Of the live capture.
        head: Its head.
        keep: Called with each take as soon as its recording has ended.
        say: Called with a phrase for the user where a recording came to nothing.

    Attributes:
        wanted: Whether a recording was asked for.
        recorded: What was recorded.
    """

    def __init__(
        self,
        options: CaptureOptions,
        head: HeadDescription,
        keep: Callable[[Take], None],
        say: Callable[[str], None],
    ) -> None:
        self._options = options
        self._head = head
        self._keep = keep
        self._say = say
        self._recording: Recording | None = None
        self.wanted = False
        self.recorded: list[Recorded] = []

    @property
    def running(self) -> bool:
        """Whether something is being recorded."""
        return self._recording is not None

    def ask(self) -> None:
        """Record from the next face on; a recording that runs goes on."""
        self.wanted = True

    def add(self, time: float, face: Face | None, solved: SolvedFrame | None, cut: bool, final: bool) -> None:
        """Record a frame, if that was asked for; see `Recording.add`.

        Args:
            final: Whether no other head will be learnt of this person.
        """
        if self._recording is None and self.wanted and solved is not None:
            self._recording = Recording(self._options, self._head, len(self.recorded) + 1)
            if final:
                self._recording.settle()
        if self._recording is not None:
            self._recording.add(time, face, solved, cut)

    def settle(self, solver: LiveSolver) -> None:
        """Bring what is being recorded to the head that was learnt."""
        if self._recording is not None:
            self._recording.settle(solver)

    def finish(self, shot: Shot | None, neutral: NeutralPose | None) -> None:
        """End the recording that runs; the next one begins at once where one is still wanted.

        Args:
            shot: Its identity and camera; None before there was a face.
            neutral: The resting face.
        """
        recording, self._recording = self._recording, None
        if recording is None or shot is None:
            return
        recorded = recording.finished(shot, neutral)
        if recorded is None:
            self._say(f"{_NOTHING}: it was too short, or the face was not clear")
            return
        self.recorded.append(recorded)
        self._keep(recorded.take)

    def stop(self, shot: Shot | None, neutral: NeutralPose | None) -> None:
        """As `finish`, and want no more."""
        if self.wanted and not self.running:
            self._say(f"{_NOTHING}: no face was seen")
        self.wanted = False
        self.finish(shot, neutral)
