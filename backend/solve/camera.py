# SPDX-License-Identifier: GPL-3.0-or-later
"""The camera of a shot: its focal length, and where that comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from backend.media.images import Photo
from blender_addon.contract.projection import SENSOR_WIDTH_35MM, focal_pixels

DEFAULT_FOCAL_MM = 50.0
"""35 mm equivalent focal length assumed where neither the user nor the file states one: a common portrait lens."""


@dataclass(frozen=True)
class Focal:
    """A focal length and where it comes from."""

    pixels: float
    origin: Literal["given", "file", "assumed"]

    def millimetres(self, width: int, height: int) -> float:
        """35 mm equivalent, by the longer side."""
        return self.pixels * SENSOR_WIDTH_35MM / max(width, height)


def choose_focal(photo: Photo, focal_mm: float | None) -> Focal:
    """The user's focal length (35 mm equivalent), else the file's, else the documented default."""
    height, width = photo.pixels.shape[:2]
    if focal_mm is not None:
        return Focal(focal_pixels(focal_mm, width, height), "given")
    if photo.focal_px is not None:
        return Focal(photo.focal_px, "file")
    return Focal(focal_pixels(DEFAULT_FOCAL_MM, width, height), "assumed")
