# SPDX-License-Identifier: GPL-3.0-or-later
"""Any kind of pixels as 8-bit sRGB without transparency."""

from __future__ import annotations

import io
import logging

import numpy as np
from PIL import Image, ImageCms

BACKDROP = 128
"""Grey level behind transparent pixels: as far from black as from white, so it makes no strong edge with either."""

_SRGB = ImageCms.createProfile("sRGB")
_SPACES = {"RGB": "RGB ", "L": "GRAY", "CMYK": "CMYK", "LAB": "Lab "}
_SIXTEEN_BIT = ("I;16", "I;16L", "I;16B", "I;16N")

_log = logging.getLogger(__name__)


def to_srgb(picture: Image.Image) -> np.ndarray:
    """Pixels of a loaded picture of any mode.

    An embedded colour profile is converted to sRGB (perceptual intent); without one the values are taken as sRGB.
    Transparent pixels are laid over mid grey. Values of more than 8 bits are rounded to 8.

    Args:
        picture: Loaded; its first frame is used.

    Returns:
        (H,W,3) uint8.
    """
    profile = picture.info.get("icc_profile")
    picture = _eight_bit(picture)
    alpha = picture.getchannel("A") if picture.mode in ("RGBA", "LA") else None
    if alpha is not None:
        picture = picture.convert("RGB" if picture.mode == "RGBA" else "L")
    pixels = np.asarray(_converted(picture, profile))
    if alpha is None:
        return np.ascontiguousarray(pixels)
    opacity = np.asarray(alpha, dtype=np.uint16)[..., None]
    # Rounded division by 255 in integers.
    mixed = pixels * opacity + BACKDROP * (255 - opacity)
    return ((mixed + 127) // 255).astype(np.uint8)


def _eight_bit(picture: Image.Image) -> Image.Image:
    """The picture as L, LA, RGB, RGBA, CMYK or LAB."""
    mode = picture.mode
    if mode == "P":
        return picture.convert("RGBA" if "transparency" in picture.info else "RGB")
    if mode in ("PA", "La", "RGBa"):
        return picture.convert("RGBA")
    if mode in ("L", "RGB") and "transparency" in picture.info:  # one colour or grey level stands for transparent
        return picture.convert("RGBA")
    if mode in _SIXTEEN_BIT:
        return _scaled(np.asarray(picture, dtype=np.float32), 65535.0)
    if mode in ("I", "F"):
        values = np.nan_to_num(np.asarray(picture, dtype=np.float32))
        # Such files do not state their range; the usual ones are unit floats, bytes and 16 bits.
        highest = float(values.max(initial=0))
        return _scaled(values, next((top for top in (1.0, 255.0, 65535.0) if highest <= top), highest))
    if mode in ("L", "LA", "RGB", "RGBA", "CMYK", "LAB"):
        return picture
    return picture.convert("RGB")  # 1, YCbCr, HSV


def _scaled(values: np.ndarray, top: float) -> Image.Image:
    return Image.fromarray(np.clip(values * (255.0 / top) + 0.5, 0, 255).astype(np.uint8))


def _converted(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """The picture in sRGB."""
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if source.profile.xcolor_space == _SPACES[picture.mode]:
                return ImageCms.profileToProfile(picture, source, _SRGB, outputMode="RGB")
            _log.warning("The embedded colour profile is for another kind of pixels; the colours are taken as sRGB.")
        except (ImageCms.PyCMSError, OSError) as error:
            _log.warning("The embedded colour profile cannot be used (%s); the colours are taken as sRGB.", error)
    if picture.mode == "LAB":
        return ImageCms.profileToProfile(picture, ImageCms.createProfile("LAB"), _SRGB, outputMode="RGB")
    return picture.convert("RGB")
