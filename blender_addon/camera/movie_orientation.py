# SPDX-License-Identifier: GPL-3.0-or-later
"""How a phone's video is turned, which Blender's movie reader looks at from 4.5 on only. No bpy."""

from __future__ import annotations

import os
import struct
from typing import BinaryIO

from .orientation import UPRIGHT

_TURNED = {(1, 0, 0, 1): 1, (0, 1, -1, 0): 6, (-1, 0, 0, -1): 3, (0, -1, 1, 0): 8}
"""a, b, c, d of the matrix of a track (ISO/IEC 14496-12, 8.3.2), as signs, to EXIF's orientation."""
_CONTAINERS = (b"moov", b"trak", b"mdia")


def read_movie_orientation(path: str | os.PathLike[str]) -> int:
    """EXIF orientation (1, 3, 6 or 8) of the first picture track of an MP4 or MOV file; 1 for all other files.

    Raises:
        OSError: The file cannot be read.
    """
    with open(path, "rb") as file:
        try:
            return _orientation(file, os.fstat(file.fileno()).st_size)
        except struct.error:  # cut off
            return UPRIGHT


def _orientation(file: BinaryIO, end: int) -> int:
    if file.read(8)[4:] not in (b"ftyp", b"moov", b"wide", b"mdat", b"free", b"skip"):
        return UPRIGHT
    file.seek(0)
    matrix: tuple[int, ...] = (1, 0, 0, 1)
    for name, start, size in _atoms(file, end):
        if name == b"tkhd":
            matrix = _matrix(file, start)
        elif name == b"hdlr":
            file.seek(start + 8)
            if file.read(4) == b"vide":
                return _TURNED.get(matrix, UPRIGHT)
        file.seek(start + size)
    return UPRIGHT


def _atoms(file: BinaryIO, end: int) -> list[tuple[bytes, int, int]]:
    """Names, starts and sizes of the contents of all atoms, those inside containers in the order of the file."""
    found = []
    position = 0
    while position + 8 <= end:
        file.seek(position)
        size, name = struct.unpack(">I4s", file.read(8))
        header = 8
        if size == 1:
            (size,), header = struct.unpack(">Q", file.read(8)), 16
        size = size or end - position
        if size < header:
            break
        found.append((name, position + header, size - header))
        position += header if name in _CONTAINERS else size
    return found


def _matrix(file: BinaryIO, start: int) -> tuple[int, ...]:
    file.seek(start)
    version = file.read(1)
    file.seek(start + (52 if version == b"\1" else 40))
    a, b, _, c, d = struct.unpack(">5i", file.read(20))
    return tuple((value > 0) - (value < 0) for value in (a, b, c, d))
