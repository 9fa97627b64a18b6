# SPDX-License-Identifier: GPL-3.0-or-later
"""What the service needs from the reconstruction: heads and a capture.

Serving is tested with a fast stand-in for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from backend.progress import Progress
from blender_addon.contract.head import HeadDescription
from blender_addon.contract.messages import FrameCount, LiveAction, Models
from blender_addon.contract.options import CaptureOptions
from blender_addon.contract.take import Take


class JobProgress(Protocol):
    """How a capture reports what it does. Satisfies `backend.progress.Progress`."""

    def __call__(self, stage: str, done: float, message: str = "") -> None:
        """Note the stage, how much of all the work is done (0 to 1), and a phrase for the user."""

    def check_cancelled(self) -> None:
        """Raise MienError CANCELLED when the user wants to stop."""

    def frames(self, count: FrameCount) -> None:
        """Note how far a clip is."""

    def wants_preview(self) -> bool:
        """Whether anybody looks at previews."""

    def preview(self, takes: Sequence[Take]) -> None:
        """Show what the newest frame looks like: takes of one frame, one for each person."""

    def actions(self) -> Sequence[LiveAction]:
        """What was asked of a live capture since the last call.

        To be called several times a second, also while the camera gives nothing: END comes, too, when the client has
        gone.
        """

    def keep(self, take: Take) -> None:
        """Save a take before the capture ends, so that it survives whatever happens to the rest."""


@dataclass(frozen=True)
class Captured:
    """What a capture gives.

    Attributes:
        takes: All takes, whether or not they were kept before.
        report: JSON-able.
        overlay: Draws (H, W, 3) uint8 that shows the result over the source; called after the takes are handed out.
        overlay_bytes: What `overlay` holds in memory until then.
        backdrop: Writes into a folder the source as Blender can show it; None where it shows the source itself.
        contact_sheet: Writes into a folder a picture of the numbered people of a clip.
        maps: Writes the displacement maps of a take to a folder that is not there yet; gives the take that names them.
    """

    takes: Sequence[Take]
    report: dict[str, object]
    overlay: Callable[[], np.ndarray] | None = None
    backdrop: Callable[[Path], Path] | None = None
    overlay_bytes: int = 0
    contact_sheet: Callable[[Path], Path] | None = None
    maps: Callable[[Take, Path], Take] | None = None


class Capturer(Protocol):
    """Loaded models. Used by one thread only, but for what says otherwise."""

    device: str
    """Where it computes, for people."""

    def models(self) -> Models:
        """All engines and heads, ready or not, as they are now; called in any thread."""

    def add_models(self, paths: Sequence[Path], progress: Progress) -> tuple[str, ...]:
        """Take over files that the user brought, and say in a sentence each what was added; called in any thread.

        Raises:
            MienError: Why nothing, or not all of it, could be taken over.
        """

    def stored_head(self, sha256: str) -> HeadDescription:
        """The ready head of `models` with this hash, as the store has it now; called in any thread."""

    def head(self, name: str) -> HeadDescription:
        """The head with this id or hash."""

    def capture(self, options: CaptureOptions, progress: JobProgress) -> Captured:
        """Do the job."""
