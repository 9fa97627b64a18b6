# SPDX-License-Identifier: GPL-3.0-or-later
"""A small picture of each shot for the batch's page: the fitted mesh over the photo, or over a clip's best frame."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from blender_addon.contract.files import atomic_write

if TYPE_CHECKING:
    from backend.chain.result import CaptureResult
    from backend.session import Session

SIZE = (320, 240)
"""Largest width and height in pixels."""


def write_thumbnail(session: Session, result: CaptureResult, overlay: Path, target: Path) -> None:
    """Write the thumbnail of a capture.

    Args:
        session: Of the capture.
        result: What it gave.
        overlay: The overlay picture of a photo, which is drawn already.
        target: A `.jpg`.

    Raises:
        MienError: NO_SPACE, NOT_PERMITTED or MISSING_FILE.
    """
    if result.of_clip:
        from backend.pipeline import draw_overlay

        picture = Image.fromarray(draw_overlay(session, result))
    else:
        picture = Image.open(overlay)
    with picture:
        picture.thumbnail(SIZE)
        atomic_write(target, lambda file: picture.save(file, format="JPEG", quality=82), durable=False)
