# SPDX-License-Identifier: GPL-3.0-or-later
"""A small picture of each shot for the batch's page: the fitted mesh over the photo, or over a clip's best frame."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from backend.media.clip import open_clip
from blender_addon.contract.files import atomic_write

if TYPE_CHECKING:
    from backend.chain.result import CaptureResult

SIZE = (320, 240)
"""Largest width and height in pixels."""


def write_thumbnail(result: CaptureResult, overlay: Path, target: Path) -> None:
    """Write the thumbnail of a capture.

    Args:
        result: What it gave.
        overlay: The overlay picture of the photo, or the overlay video of the clip.
        target: A `.jpg`.

    Raises:
        MienError: NO_SPACE, NOT_PERMITTED or MISSING_FILE.
    """
    with _video_frame(overlay, result.frame) if result.of_clip else Image.open(overlay) as picture:
        picture.thumbnail(SIZE)
        atomic_write(target, lambda file: picture.save(file, format="JPEG", quality=82), durable=False)


def _video_frame(overlay: Path, index: int) -> Image.Image:
    """A frame of an overlay video, which lacks those that could not be read."""
    with open_clip(overlay) as clip:
        last = len(clip.info.times) - 1
        frame = next(clip.frames(min(index, last), last))
    return Image.fromarray(frame.pixels)
