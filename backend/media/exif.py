# SPDX-License-Identifier: GPL-3.0-or-later
"""What a picture's EXIF block says about its orientation and its lens."""

from __future__ import annotations

import math

import numpy as np
from PIL import ExifTags, Image

DIAGONAL_35MM = math.hypot(36.0, 24.0)
"""Diagonal of a full-frame sensor in millimetres; EXIF's 35 mm equivalent compares diagonals (CIPA DCG-001)."""

_MILLIMETRES = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}
"""Millimetres in EXIF's FocalPlaneResolutionUnit."""


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turn and mirror stored pixels (H,W,...) as the EXIF orientation (1..8) says; unknown values change nothing."""
    match orientation:
        case 2:
            return pixels[:, ::-1]
        case 3:
            return pixels[::-1, ::-1]
        case 4:
            return pixels[::-1]
        case 5:
            return pixels.swapaxes(0, 1)
        case 6:
            return pixels[::-1].swapaxes(0, 1)
        case 7:
            return pixels[::-1, ::-1].swapaxes(0, 1)
        case 8:
            return pixels.swapaxes(0, 1)[::-1]
    return pixels


def orientation(picture: Image.Image) -> int:
    """EXIF orientation (1..8) of a loaded picture; 1 where none is given."""
    value = picture.getexif().get(ExifTags.Base.Orientation, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def focal_length(picture: Image.Image) -> tuple[float | None, float | None]:
    """The focal length as a 35 mm equivalent and in pixels of the whole picture.

    * FocalLengthIn35mmFilm f35: `focal_px = f35 * hypot(width, height) / hypot(36, 24)`;
    * else FocalLength f (mm) with FocalPlaneXResolution r (pixels per unit u of FocalPlaneResolutionUnit, in mm) of the
      PixelXDimension wide original: `focal_px = f * r / u * width / PixelXDimension`, and f35 by the first equation.

    Both assume that the picture was not cropped after it was taken.

    Args:
        picture: A loaded picture, before it is turned upright.

    Returns:
        Millimetres and pixels; (None, None) where the file does not say.
    """
    tags = picture.getexif().get_ifd(ExifTags.IFD.Exif)
    to_pixels = math.hypot(*picture.size) / DIAGONAL_35MM
    if equivalent := _positive(tags.get(ExifTags.Base.FocalLengthIn35mmFilm)):
        return equivalent, equivalent * to_pixels
    millimetres = _positive(tags.get(ExifTags.Base.FocalLength))
    resolution = _positive(tags.get(ExifTags.Base.FocalPlaneXResolution))
    unit = _MILLIMETRES.get(tags.get(ExifTags.Base.FocalPlaneResolutionUnit, 2))
    if not (millimetres and resolution and unit):
        return None, None
    width = _positive(tags.get(ExifTags.Base.ExifImageWidth)) or picture.width
    pixels = millimetres * resolution / unit * picture.width / width
    return pixels / to_pixels, pixels


def _positive(value: object) -> float | None:
    """A positive finite number; None for zero, which EXIF uses for unknown, and for anything else."""
    try:
        number = float(value)  # type: ignore[arg-type]  # rationals, numbers, or junk from a broken file
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return number if math.isfinite(number) and number > 0 else None
