# SPDX-License-Identifier: GPL-3.0-or-later
"""One capture that runs, as the panel sees it. Plain values only: it outlives undo and other files."""

from __future__ import annotations

from dataclasses import dataclass

from ..client.events import CaptureFinished, Progress
from .request import Request

_MINUTE = 60
_HOUR = 3600


@dataclass
class Running:
    """A capture on its way.

    Attributes:
        job: Its id at the backend.
        request: What was asked for.
        attempt: To run a failed or cancelled one again, one more than its last attempt; else 0.
        progress: The last news of it.
        finished: What came of it, while it waits to be shown in the scene.
        away: Whether the file that it belongs to is closed.
        note: What the artist should know about its course ("Backend restarted, goes on at frame 132").
        recording: Whether a live capture records.
    """

    job: str
    request: Request
    attempt: int = 0
    progress: Progress | None = None
    finished: CaptureFinished | None = None
    away: bool = False
    note: str = ""
    recording: bool = False
    _goes_on: bool = False

    @property
    def live(self) -> bool:
        """Whether it follows a camera, or a file as one."""
        return self.request.options.live

    @property
    def done(self) -> float:
        """How much of it is done, 0 to 1."""
        return min(max(self.progress.done, 0.0), 1.0) if self.progress else 0.0

    def restarted(self) -> None:
        """The backend died and is started anew for this capture."""
        self._goes_on = True
        self.note = "Backend restarted"

    def note_progress(self, progress: Progress) -> None:
        """There is news."""
        self.progress = progress
        frames = progress.frames
        if self._goes_on and frames is not None and progress.stage != "queued":
            self._goes_on = False
            first = self.request.options.first_frame or 1
            self.note = f"Backend restarted, goes on at frame {first + frames.done}"

    def text(self, otherwise: str) -> str:
        """The line on its bar: frames and time left, or the stage.

        Args:
            otherwise: What to say before there is any news.
        """
        progress = self.progress
        if progress is None:
            return otherwise
        frames = progress.frames
        if frames is None or not frames.total or self.finished or progress.stage == "queued":
            return progress.message or progress.stage.replace("_", " ").capitalize()
        text = f"{frames.done} of {frames.total} frames"
        return text if frames.seconds_left is None else f"{text}, {duration(frames.seconds_left)} left"

    def live_text(self, otherwise: str) -> str:
        """The line below a live capture: what it does, and how fast."""
        progress = self.progress
        if progress is None:
            return otherwise
        rate = progress.frames.per_second if progress.frames else 0.0
        text = progress.message or progress.stage.capitalize()
        return f"{text}, {rate:.0f} fps" if rate else text


def duration(seconds: float) -> str:
    """A time that is easy to read: "4 s", "2 min 10 s", "1 h 5 min"."""
    whole = max(round(seconds), 0)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        minutes, rest = divmod(whole, _MINUTE)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, rest = divmod(whole, _HOUR)
    return f"{hours} h {rest // _MINUTE} min"
