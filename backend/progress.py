# SPDX-License-Identifier: GPL-3.0-or-later
"""How long work tells what it does and learns that it shall stop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from blender_addon.contract.errors import ErrorCode, MienError

if TYPE_CHECKING:  # both need numpy, which the first use has to install first
    from blender_addon.contract.status import FrameCount
    from blender_addon.contract.take import Take


class Progress(Protocol):
    """Told of each step; asked between steps whether to go on."""

    def __call__(self, stage: str, done: float, message: str = "") -> None:
        """Note a step.

        Args:
            stage: Short name of the stage, for example "faces".
            done: How much of the work is done, in [0,1].
            message: A phrase for the user.
        """

    def check_cancelled(self) -> None:
        """Go on, or stop.

        Raises:
            MienError: CANCELLED when the user wants to stop.
        """

    def frames(self, count: FrameCount) -> None:
        """Note how far a clip is."""

    def wants_preview(self) -> bool:
        """Whether anybody looks at previews."""

    def preview(self, takes: Sequence[Take]) -> None:
        """Show what the newest frame looks like: takes of one frame, one for each person."""

    def keep(self, take: Take) -> None:
        """Save a take before the capture ends, so that it survives whatever happens to the rest."""


class NoProgress:
    """Tells nobody and is never cancelled."""

    def __call__(self, stage: str, done: float, message: str = "") -> None:
        """Ignore the step."""

    def check_cancelled(self) -> None:
        """Go on."""

    def frames(self, count: FrameCount) -> None:
        """Ignore it."""

    def wants_preview(self) -> bool:
        """Nobody does."""
        return False

    def preview(self, takes: Sequence[Take]) -> None:
        """Ignore them."""

    def keep(self, take: Take) -> None:
        """Ignore it: the caller gets it at the end."""


no_progress = NoProgress()
"""For callers that nobody watches."""


class Part:
    """A part of a larger work: what is 0 to 1 of the part is `start` to `end` of the whole."""

    def __init__(self, whole: Progress, start: float, end: float) -> None:
        self._whole = whole
        self._start = start
        self._end = end

    def __call__(self, stage: str, done: float, message: str = "") -> None:
        """Note a step of the part."""
        self._whole(stage, self._start + (self._end - self._start) * done, message)

    def check_cancelled(self) -> None:
        """Go on, or stop."""
        self._whole.check_cancelled()

    def frames(self, count: FrameCount) -> None:
        """Pass it on."""
        self._whole.frames(count)

    def wants_preview(self) -> bool:
        """Ask on."""
        return self._whole.wants_preview()

    def preview(self, takes: Sequence[Take]) -> None:
        """Pass them on."""
        self._whole.preview(takes)

    def keep(self, take: Take) -> None:
        """Pass it on."""
        self._whole.keep(take)


def cancelled() -> MienError:
    """What `check_cancelled` raises when the user wants to stop."""
    return MienError(ErrorCode.CANCELLED, "The work was stopped on request.", "Start it again when you like.")
