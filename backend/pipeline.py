# SPDX-License-Identifier: GPL-3.0-or-later
"""The one way through: media, faces, engine, solve, take. Command line, service and tests all call this."""

from __future__ import annotations

from backend.chain.photo import capture_photo
from backend.chain.result import CaptureResult, draw_overlay, posed_vertices
from backend.device import enough_memory
from backend.media.clip import is_clip
from backend.progress import Progress, no_progress
from backend.session import Session
from blender_addon.contract.options import CaptureOptions

__all__ = ["CaptureResult", "capture", "capture_photo", "draw_overlay", "posed_vertices"]


def capture(session: Session, options: CaptureOptions, progress: Progress = no_progress) -> CaptureResult:
    """A photo or a clip to one take for each asked-for person; a live capture to one for each recording.

    Args:
        session: The loaded models.
        options: What to do.
        progress: Told of each step; that of a live capture must be a `LiveProgress`.

    Raises:
        MienError: What `capture_photo`, `capture_clip` and `capture_live` raise; TOO_LARGE where the memory of the GPU
            does not suffice.
    """
    with enough_memory(session.device):
        return _captured(session, options, progress)


def _captured(session: Session, options: CaptureOptions, progress: Progress) -> CaptureResult:
    if options.live:
        from backend.chain.live import capture_live

        return capture_live(session, options, progress)  # type: ignore[arg-type]  # as documented
    if not is_clip(options.source):
        return capture_photo(session, options, progress)
    from backend.chain.clip import capture_clip  # here: a photo needs none of it

    return capture_clip(session, options, progress)
