# SPDX-License-Identifier: GPL-3.0-or-later
"""Small pictures in the panel: the source, and the people in it."""

from __future__ import annotations

from typing import Any

from .facts import Facts
from .kinds import Kind

_source: Any = None


def thumbnail(found: Facts) -> int:
    """Icon of a source for `UILayout.template_icon`, a clip's first frame; 0 when there is none."""
    if not found.picture:
        return 0
    return picture(found.picture, "MOVIE" if found.kind is Kind.CLIP else "IMAGE")


def picture(path: str, form: str) -> int:
    """Icon of a file.

    Args:
        path: The file.
        form: IMAGE or MOVIE.
    """
    global _source
    if _source is None:
        import bpy.utils.previews

        _source = bpy.utils.previews.new()
    if path not in _source:
        if len(_source) >= 8:
            _source.clear()
        _source.load(path, path, form)
    return int(_source[path].icon_id)


def forget() -> None:
    """Release the pictures."""
    global _source
    if _source is not None:
        import bpy.utils.previews

        bpy.utils.previews.remove(_source)
        _source = None
