# SPDX-License-Identifier: GPL-3.0-or-later
"""The camera of a shot: its focal length, and where that comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from backend.media.images import Photo
from blender_addon.contract.projection import SENSOR_WIDTH_35MM, focal_pixels

if TYPE_CHECKING:
    from backend.media.clip import ClipInfo

DEFAULT_FOCAL_MM = 50.0
"""35 mm equivalent focal length assumed where neither the user nor the file states one: a common portrait lens."""
FOCAL_SIGMA = 0.45
"""Standard deviation of the logarithm of focal lengths about that: two thirds lie between 32 and 78 mm, telephones'
24 mm at 1.6 standard deviations."""


@dataclass(frozen=True)
class Focal:
    """A focal length and where it comes from."""

    pixels: float
    origin: Literal["given", "file", "estimated", "assumed"]
    sigma: float | None = None
    """Standard deviation of its logarithm, where it is estimated; about the relative error to expect"""

    @property
    def known(self) -> bool:
        """Whether somebody stated it."""
        return self.origin in ("given", "file")

    def millimetres(self, width: int, height: int) -> float:
        """35 mm equivalent, by the longer side."""
        return self.pixels * SENSOR_WIDTH_35MM / max(width, height)


def choose_focal(source: Photo | ClipInfo, focal_mm: float | None) -> Focal:
    """The user's focal length (35 mm equivalent), else the file's, else the documented default."""
    height, width = source.pixels.shape[:2] if isinstance(source, Photo) else (source.height, source.width)
    if focal_mm is not None:
        return Focal(focal_pixels(focal_mm, width, height), "given")
    if source.focal_px is not None:
        return Focal(source.focal_px, "file")
    return Focal(focal_pixels(DEFAULT_FOCAL_MM, width, height), "assumed")
