# SPDX-License-Identifier: GPL-3.0-or-later
"""The photo as Blender can show it behind the head."""

from __future__ import annotations

from pathlib import Path

from backend.media.images import Photo
from backend.outputs import write_png

SHOWN_BY_BLENDER = frozenset({".jpg", ".jpeg", ".png"})


def shown_by_blender(path: Path) -> bool:
    """Whether every Blender shows such a file as it is (turned photos it turns itself)."""
    return path.suffix.lower() in SHOWN_BY_BLENDER


def write_backdrop(photo: Photo, folder: Path) -> Path:
    """Write the upright photo into a folder as a PNG named after it.

    Raises:
        MienError: NO_SPACE, NOT_PERMITTED or MISSING_FILE.
    """
    copy = folder / f"{Path(photo.path).stem}.png"
    write_png(copy, photo.pixels)
    return copy
