# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a video file is shorter than it says itself."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

_MOV_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"styp", b"uuid"})
_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"


def lacks_contents(path: Path) -> bool:
    """Whether this is an MP4 or QuickTime file whose table of contents (`moov`) is missing or cut off.

    It is written when a recording ends (ISO/IEC 14496-12, 4.2 and 8.2.1).
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        boxes = _boxes(file, size)
        return bool(boxes) and not any(kind == b"moov" and end <= size for kind, end in boxes)


def is_short(path: Path) -> bool:
    """Whether the outermost part of an MP4, QuickTime, AVI, Matroska or WebM file reaches beyond the file's end."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(12)
        if start[:4] == b"RIFF":
            return 8 + int.from_bytes(start[4:8], "little") > size
        if start[:4] == _EBML:
            return _segment_end(file, size) > size
        boxes = _boxes(file, size)
        return bool(boxes) and boxes[-1][1] > size


def _boxes(file: BinaryIO, size: int) -> list[tuple[bytes, int]]:
    """Kind and end of each outermost box; none where this is another kind of file."""
    found: list[tuple[bytes, int]] = []
    position = 0
    while position + 8 <= size:
        file.seek(position)
        header = file.read(16)
        length, kind = int.from_bytes(header[:4], "big"), header[4:8]
        if position == 0 and kind not in _MOV_BOXES:
            return []
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        elif length == 0:  # to the end of the file
            length = size - position
        if length < 8:  # no box: what follows cannot be told
            break
        position += length
        found.append((kind, position))
    return found


def _segment_end(file: BinaryIO, size: int) -> int:
    """Where the Matroska segment ends (RFC 8794, 4 and 5; RFC 9559, 4.5); 0 where it does not say."""
    file.seek(4)
    length, used = _element_size(file)
    position = 4 + used + length
    file.seek(position)
    if position >= size or file.read(4) != _SEGMENT:
        return 0
    length, used = _element_size(file)
    unknown = length == (1 << 7 * used) - 1  # a live recording
    return 0 if unknown else position + 4 + used + length


def _element_size(file: BinaryIO) -> tuple[int, int]:
    """An EBML size and the number of bytes that it takes."""
    first = int.from_bytes(file.read(1), "big")
    used = 9 - first.bit_length()
    if used > 8:
        return 0, 1
    return int.from_bytes(bytes([first & (0xFF >> used)]) + file.read(used - 1), "big"), used
