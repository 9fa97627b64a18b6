# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files can be captured, by their names."""

from __future__ import annotations

from enum import StrEnum

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".heic", ".heif", ".tif", ".tiff", ".bmp", ".avif")
CLIP_SUFFIXES = (
    ".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".mts", ".m2ts", ".mxf", ".wmv", ".ogv", ".flv",
    ".3gp", ".ts",
)  # fmt: skip
SOURCE_SUFFIXES = PHOTO_SUFFIXES + CLIP_SUFFIXES


class Kind(StrEnum):
    """What a source is."""

    NOTHING = "nothing"
    PHOTO = "photo"
    CLIP = "clip"
    SEQUENCE = "sequence"

    @property
    def moves(self) -> bool:
        """Whether a capture of it is a performance."""
        return self in (Kind.CLIP, Kind.SEQUENCE)
