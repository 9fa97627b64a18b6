# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a photo: any picture file as upright 8-bit sRGB pixels with the focal length its camera noted."""

from __future__ import annotations

import os
import struct
import threading
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from backend.media.colour import to_srgb
from backend.media.exif import focal_length, orientation, upright
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import file_error

SMALLEST_SIDE = 64
"""Shorter side in pixels under which no face can be captured."""
MOST_PIXELS = 200_000_000
"""Largest picture that is decoded; 100 megapixel cameras pass, files made to fill the memory do not."""

_HEIC_SUFFIXES = (".heic", ".heif", ".hif")
# Vector formats would start other programs, the others are only stubs in Pillow.
_NOT_READ = frozenset({"EPS", "WMF", "MPEG", "BUFR", "GRIB", "HDF5"})
# What Pillow's decoders raise on damaged files.
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error, zlib.error)

_registering = threading.Lock()


@dataclass(frozen=True)
class Photo:
    """A still picture.

    Attributes:
        pixels: (H,W,3) uint8 sRGB, upright.
        path: The file.
        focal_35mm: 35 mm equivalent focal length in millimetres that the camera noted, or None.
        focal_px: The focal length in pixels of the whole frame, or None; see `exif.focal_length`.
    """

    pixels: np.ndarray
    path: Path
    focal_35mm: float | None
    focal_px: float | None


def read_image(path: str | Path) -> Photo:
    """Read a picture file.

    JPEG, PNG, TIFF, WebP, AVIF, HEIC, GIF, BMP, PSD and whatever else Pillow reads; of several frames the first. EXIF
    rotation and mirroring are applied, colours converted to sRGB, transparency laid over mid grey.

    Args:
        path: The file.

    Raises:
        MienError: MISSING_FILE; NOT_PERMITTED; TOO_LARGE above `MOST_PIXELS`; BAD_IMAGE with `details["cause"]` one of
            "folder", "no_file", "empty", "not_a_picture", "no_heic", "damaged", "too_small".
    """
    path = Path(path)
    if os.path.isdir(path):  # unlike Path.is_dir, false where the folder above cannot be read; opening tells why
        raise _bad(path, "folder", "is a folder", "Give the path of a picture file.")
    if os.path.exists(path) and not os.path.isfile(path):  # opening a pipe could wait for ever
        raise _bad(path, "no_file", "is a pipe or a device, not a file", "Save the picture as a file and use that.")
    try:
        with path.open("rb") as file:
            if not file.read(1):
                raise _bad(path, "empty", "is an empty file", "Copy the picture again from where it came from.")
    except OSError as error:
        raise file_error(path, error, "read") from error
    with _opened(path) as picture:
        width, height = picture.size
        if width * height > MOST_PIXELS:
            raise _too_large(path, f"{width}x{height} pixels")
        if min(width, height) < SMALLEST_SIDE:
            reason = f"is too small ({width}x{height} pixels)"
            raise _bad(path, "too_small", reason, f"Use a picture of at least {SMALLEST_SIDE} pixels on each side.")
        try:
            picture.load()
            pixels = upright(to_srgb(picture), orientation(picture))
            focal_35mm, focal_px = focal_length(picture)
        except MemoryError as error:
            raise _too_large(path, f"{width}x{height} pixels, more than the free memory holds") from error
        except _DAMAGED as error:
            raise _damaged(path, error) from error
    return Photo(np.ascontiguousarray(pixels), path, focal_35mm, focal_px)


def _opened(path: Path) -> Image.Image:
    _prepare_pillow()
    try:
        return Image.open(path, formats=[name for name in Image.ID if name not in _NOT_READ])
    except UnidentifiedImageError as error:
        if path.suffix.lower() in _HEIC_SUFFIXES and not _registered_heic():
            reason = "is a HEIC picture, and the Python package pillow-heif that reads it is not installed"
            raise _bad(path, "no_heic", reason, "Install pillow-heif, or save the picture as JPEG.") from error
        reason = "is not a picture in a known format, whatever its name says, or its beginning is damaged"
        raise _bad(path, "not_a_picture", reason, "Save it as JPEG or PNG in another program and use that.") from error
    except Image.DecompressionBombError as error:
        raise _too_large(path, f"far more than {MOST_PIXELS // 1_000_000} million pixels") from error
    except _DAMAGED as error:
        raise _damaged(path, error) from error


def _prepare_pillow() -> None:
    """Load Pillow's formats and HEIC once, and put its size limit, which is for all of the process, at ours."""
    with _registering:
        if Image.MAX_IMAGE_PIXELS == MOST_PIXELS:
            return
        Image.init()
        try:
            import pillow_heif
        except ImportError:
            pass  # reported when a HEIC file comes, see `_opened`
        else:
            pillow_heif.register_heif_opener()
        # Pillow warns above its limit and refuses above twice that; `read_image` refuses by itself above the limit.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        Image.MAX_IMAGE_PIXELS = MOST_PIXELS


def _registered_heic() -> bool:
    return "HEIF" in Image.OPEN


def _bad(path: Path, cause: str, reason: str, remedy: str) -> MienError:
    return MienError(ErrorCode.BAD_IMAGE, f"{path} {reason}.", remedy, {"path": str(path), "cause": cause})


def _damaged(path: Path, error: BaseException) -> MienError:
    reason = f"is damaged or was cut off ({str(error).rstrip('.') or type(error).__name__})"
    return _bad(path, "damaged", reason, "Copy the picture again from where it came from, or use another one.")


def _too_large(path: Path, size: str) -> MienError:
    limit = MOST_PIXELS // 1_000_000
    return MienError(
        ErrorCode.TOO_LARGE,
        f"{path} is too large ({size}).",
        f"Reduce it to at most {limit} million pixels; about 4000 on the longer side is plenty.",
        {"path": str(path)},
    )
