# SPDX-License-Identifier: GPL-3.0-or-later
"""One line about the chosen source, and its thumbnail."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import imbuf

from ..camera.orientation import read_orientation

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".heic", ".heif", ".tif", ".tiff", ".bmp", ".avif")

_previews: Any = None


@dataclass(frozen=True)
class Facts:
    """What the panel says about a source.

    Attributes:
        text: One line.
        problem: Whether the line says why the source cannot be used.
        shown: Whether Blender can show a picture of it.
    """

    text: str
    problem: bool = False
    shown: bool = False


def facts(path: str) -> Facts:
    """Describe a photo; cheap to call at each redraw."""
    if path != shown_path(path):
        return Facts("The name is not in Unicode, rename the file", problem=True)
    try:
        status = os.stat(path)
    except OSError as error:
        return Facts(f"Cannot be read: {error.strerror}", problem=True)
    if os.path.isdir(path):
        return Facts("This is a folder, choose a photo", problem=True)
    if not path.lower().endswith(PHOTO_SUFFIXES):
        return Facts("This is not a photo", problem=True)
    return _describe(path, status.st_mtime_ns, status.st_size)


def shown_path(path: str) -> str:
    """A path as Blender can show it: it refuses names that are not in Unicode."""
    return path.encode("utf-8", "replace").decode("utf-8")


@lru_cache(maxsize=16)
def _describe(path: str, _changed: int, size: int) -> Facts:
    weight = f"{size / 1e6:.1f} MB"
    try:
        image = imbuf.load(path)
        width, height = image.size
        image.free()
        if read_orientation(path) >= 5:
            width, height = height, width
    except (OSError, ValueError):  # a format that Blender lacks; the backend may read it all the same
        return Facts(f"{os.path.splitext(path)[1][1:].upper()}, {weight}")
    return Facts(f"{width} x {height}, {weight}", shown=True)


def thumbnail(path: str) -> int:
    """Icon of a photo for `UILayout.template_icon`; 0 when there is none."""
    global _previews
    if not facts(path).shown:
        return 0
    if _previews is None:
        import bpy.utils.previews

        _previews = bpy.utils.previews.new()
    if path not in _previews:
        _previews.clear()
        _previews.load(path, path, "IMAGE")
    return int(_previews[path].icon_id)


def forget() -> None:
    """Release the thumbnails."""
    global _previews
    if _previews is not None:
        import bpy.utils.previews

        bpy.utils.previews.remove(_previews)
        _previews = None
    _describe.cache_clear()
