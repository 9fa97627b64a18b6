# SPDX-License-Identifier: GPL-3.0-or-later
"""The orientation tag of photos, which Blender's image loader does not look at (4.2 to 5.2). No bpy."""

from __future__ import annotations

import os
import struct

import numpy as np

_ORIENTATION_TAG = 0x0112
_HEAD_BYTES = 1 << 20  # the tag stands at the beginning of a JPEG; in PNG and WebP it may come after the pixels
UPRIGHT = 1


def read_orientation(path: str | os.PathLike[str]) -> int:
    """EXIF orientation 1..8 of a JPEG, PNG or WebP file (EXIF 2.32, 4.6.4.A); 1 where there is none.

    Raises:
        OSError: The file cannot be read.
    """
    with open(path, "rb") as file:
        content = file.read(_HEAD_BYTES)
        if not content.startswith(b"\xff\xd8"):
            content += file.read()
    tiff = _exif_block(content)
    try:
        value = _orientation_tag(tiff) if tiff else UPRIGHT
    except struct.error:  # a block that is cut off says nothing
        return UPRIGHT
    return value if 1 <= value <= 8 else UPRIGHT


def turn_upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turn an image (H, W, C), first row on top, as its orientation tag asks."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def _exif_block(content: bytes) -> bytes:
    if content.startswith(b"\xff\xd8"):
        return _jpeg_exif(content)
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return _chunk(content, 8, b"eXIf", ">I4s", name_first=False)
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return _chunk(content, 12, b"EXIF", "<4sI", name_first=True).removeprefix(b"Exif\0\0")
    return b""


def _jpeg_exif(content: bytes) -> bytes:
    position = 2
    while position + 4 <= len(content) and content[position] == 0xFF and content[position + 1] != 0xDA:
        marker, size = content[position + 1], struct.unpack_from(">H", content, position + 2)[0]
        segment = content[position + 4 : position + 2 + size]
        if marker == 0xE1 and segment.startswith(b"Exif\0\0"):
            return segment[6:]
        position += 2 + size
    return b""


def _chunk(content: bytes, position: int, wanted: bytes, header: str, *, name_first: bool) -> bytes:
    """The data of the first RIFF or PNG chunk of a name."""
    while position + 8 <= len(content):
        first, second = struct.unpack_from(header, content, position)
        name, size = (first, second) if name_first else (second, first)
        if name == wanted:
            return content[position + 8 : position + 8 + size]
        position += 8 + size + (size % 2 if name_first else 4)  # RIFF pads to even sizes, PNG adds a checksum
    return b""


def _orientation_tag(tiff: bytes) -> int:
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return UPRIGHT
    (directory,) = struct.unpack_from(f"{order}I", tiff, 4)
    (count,) = struct.unpack_from(f"{order}H", tiff, directory)
    for entry in range(count):
        tag, _, _, value = struct.unpack_from(f"{order}HHIH", tiff, directory + 2 + 12 * entry)
        if tag == _ORIENTATION_TAG:
            return int(value)
    return UPRIGHT
