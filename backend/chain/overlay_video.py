# SPDX-License-Identifier: GPL-3.0-or-later
"""The overlay video of a captured clip: the solved heads over each frame."""

from __future__ import annotations

from pathlib import Path

from backend.heads.model import EyelidSpace
from backend.media.ahead import ahead
from backend.media.clip import frame_range, open_clip
from backend.media.writer import VideoWriter
from backend.progress import Progress
from backend.rendering.video_overlay import FrameOverlay, OverlayFrame
from backend.session import Session
from blender_addon.contract.options import CaptureOptions
from blender_addon.contract.take import Take

from .result import CaptureResult, posed_vertices

BATCH = 16
"""Frames that are posed at once."""


def write_overlay_video(
    session: Session, result: CaptureResult, options: CaptureOptions, progress: Progress, path: Path
) -> None:
    """Write the overlay video of a captured clip.

    Args:
        session: Of the capture.
        result: What it gave.
        options: What was asked for.
        progress: Told of the frames.
        path: The file, `.mp4`.

    Raises:
        MienError: NO_SPACE, NOT_PERMITTED, what reading the clip raises, or CANCELLED.
    """
    takes = result.takes
    posed = [_Posed(session, take, result.eyelid_space) for take in takes]
    overlay = FrameOverlay([session.head(take.meta.head_sha256) for take in takes])
    with open_clip(Path(options.source), options.fps) as clip:
        info = clip.info
        first, last = frame_range(info, options.first_frame, options.last_frame)
        with (
            VideoWriter(path, (info.width, info.height), info.rate) as writer,
            ahead(clip.frames(first, last)) as frames,
        ):
            for frame in frames:
                progress.check_cancelled()
                row = frame.index - first
                drawn = [
                    OverlayFrame(
                        vertices=vertices.at(row),
                        translation=take.translation[row],
                        camera_matrix=take.camera_matrix,
                        label=f"Person {take.meta.person}",
                        confidence=float(take.confidence[row]),
                        filled=not take.valid[row],
                        person=take.meta.person,
                        head=order,
                    )
                    for order, (take, vertices) in enumerate(zip(takes, posed, strict=True))
                ]
                title = f"Frame {int(info.numbers[frame.index])}"
                writer.add(overlay.draw(frame.pixels, drawn, title), frame.time)
                progress("overlay", (row + 1) / (last - first + 1), "writing the overlay video")


class _Posed:
    """Vertices of a take's frames in order, some posed at a time."""

    def __init__(self, session: Session, take: Take, eyelid_space: EyelidSpace) -> None:
        self._eyelid_space = eyelid_space
        self._session = session
        self._take = take
        self._head = session.head(take.meta.head_sha256)
        self._first = -BATCH
        self._vertices = None

    def at(self, row: int):
        """(V,3) vertices of a frame."""
        if not self._first <= row < self._first + BATCH:
            self._first = row
            frames = slice(row, row + BATCH)
            self._vertices = posed_vertices(self._session, self._head, self._take, frames, self._eyelid_space)
        return self._vertices[row - self._first]
