# SPDX-License-Identifier: GPL-3.0-or-later
"""What a file or a sequence held when it was captured, so that a change is noticed and a mere copy is not one."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from backend.media.numbered import find_numbered, is_pattern
from blender_addon.contract.files import file_error

_CHUNK = 1 << 20


def stamp(source: Path) -> dict[str, str]:
    """The stamp of a file, or of a folder or a pattern of numbered pictures.

    Returns:
        `glance`, a hash of names, sizes and times of change, and `content`, a hash of names and contents.

    Raises:
        MienError: MISSING_FILE, NOT_PERMITTED; BAD_CLIP where a sequence is none any more.
    """
    files = _files(source)
    return {"glance": _glance(source, files), "content": _content(source, files)}


def unchanged(source: Path, known: Mapping[str, str]) -> bool:
    """Whether a source still holds what it did when the stamp was made; content is read only if times have changed.

    Raises:
        MienError: See `stamp`.
    """
    files = _files(source)
    return _glance(source, files) == known.get("glance") or _content(source, files) == known.get("content")


def _files(source: Path) -> list[Path]:
    numbered = os.path.isdir(source) or is_pattern(source)
    return list(find_numbered(source).files.values()) if numbered else [source]


def _glance(source: Path, files: list[Path]) -> str:
    try:
        seen = [(path.name, *_size_and_time(path)) for path in files]
    except OSError as error:
        raise file_error(source, error, "read") from error
    return hashlib.sha256(json.dumps(seen).encode()).hexdigest()


def _size_and_time(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _content(source: Path, files: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        try:
            with path.open("rb") as file:
                digest.update(json.dumps([path.name, os.fstat(file.fileno()).st_size]).encode())
                while chunk := file.read(_CHUNK):
                    digest.update(chunk)
        except OSError as error:
            raise file_error(source, error, "read") from error
    return digest.hexdigest()
