# SPDX-License-Identifier: GPL-3.0-or-later
"""One line about the chosen source: a photo, a clip or numbered images."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import bpy
import imbuf

from .. import compat
from ..camera.movie_orientation import read_movie_orientation
from ..camera.orientation import read_orientation
from . import sequences
from .kinds import CLIP_SUFFIXES, PHOTO_SUFFIXES, Kind

_KEPT = 64


@dataclass(frozen=True)
class Facts:
    """What the panel says about a source.

    Attributes:
        text: One line.
        problem: Whether the line says why the source cannot be used.
        picture: File that Blender can show a picture of; empty without one.
        kind: What it is.
        frames: Number of frames; 0 for a photo and while it is not known.
        first: Number of the first frame.
        rate: Frames per second; 0 where nothing says.
    """

    text: str
    problem: bool = False
    picture: str = ""
    kind: Kind = Kind.NOTHING
    frames: int = 0
    first: int = 1
    rate: float = 0.0

    @property
    def last(self) -> int:
        """Number of the last frame."""
        return self.first + max(self.frames, 1) - 1


_clips: dict[tuple[str, int, int], Facts] = {}
_asked: set[str] = set()


def facts(path: str) -> Facts:
    """Describe a source; cheap to call at each redraw. A clip that was not read yet is read soon after."""
    found = _facts(path)
    if isinstance(found, Facts):
        return found
    if path not in _asked:  # Blender forbids to load anything while it draws
        _asked.add(path)
        bpy.app.timers.register(lambda: _read_later(path), first_interval=0.0, persistent=True)
    return Facts("Reading…", kind=Kind.CLIP)


def facts_now(path: str) -> Facts:
    """Describe a source, reading it if need be; not to be called while Blender draws."""
    found = _facts(path)
    if isinstance(found, Facts):
        return found
    if len(_clips) >= _KEPT:
        _clips.clear()
    return _clips.setdefault(found, _read_clip(path))


def _read_later(path: str) -> None:
    _asked.discard(path)
    facts_now(path)
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                area.tag_redraw()


def _facts(path: str) -> Facts | tuple[str, int, int]:
    """The facts, or under what those of a clip are kept once it was read."""
    if path != shown_path(path):
        return Facts("The name is not in Unicode, rename the file", problem=True)
    if sequences.is_pattern(path):
        return _numbered(path, os.path.dirname(path))
    try:
        status = os.stat(path)
    except OSError as error:
        return Facts(f"Cannot be read: {error.strerror}", problem=True)
    if os.path.isdir(path):
        return _numbered(path, path)
    if path.lower().endswith(CLIP_SUFFIXES):
        key = (path, status.st_mtime_ns, status.st_size)
        return _clips.get(key, key)
    if not path.lower().endswith(PHOTO_SUFFIXES):
        return Facts("This is neither a photo nor a clip", problem=True)
    return _photo(path, status.st_mtime_ns, status.st_size)


def shown_path(path: str) -> str:
    """A path as Blender can show it: it refuses names that are not in Unicode."""
    return path.encode("utf-8", "replace").decode("utf-8")


@lru_cache(maxsize=16)
def _photo(path: str, _changed: int, size: int) -> Facts:
    weight = f"{size / 1e6:.1f} MB"
    if found := _size(path):
        return Facts(f"{found[0]} x {found[1]}, {weight}", picture=path, kind=Kind.PHOTO)
    return Facts(f"{os.path.splitext(path)[1][1:].upper()}, {weight}", kind=Kind.PHOTO)


def _size(path: str) -> tuple[int, int] | None:
    """Width and height of a photo as it is shown; None for a format that Blender lacks (the backend may read it)."""
    try:
        image = imbuf.load(path)
    except (OSError, ValueError):
        return None
    width, height = image.size
    image.free()
    return (height, width) if read_orientation(path) >= 5 else (width, height)


def _numbered(path: str, folder: str) -> Facts:
    try:
        return _kept_numbered(path, os.stat(folder or ".").st_mtime_ns)
    except OSError as error:
        return Facts(f"Cannot be read: {error.strerror}", problem=True)


@lru_cache(maxsize=16)
def _kept_numbered(path: str, _changed: int) -> Facts:
    images = sequences.find(path)
    if images is None:
        what = "No image has such a name" if sequences.is_pattern(path) else "This folder has no numbered images"
        return Facts(what, problem=True)
    size = _size(images.first_path)
    texts = [f"{size[0]} x {size[1]}"] if size else []
    texts.append(f"{len(images.names)} images")
    if images.missing:
        texts.append(f"{images.missing} missing")
    picture = images.first_path if size else ""
    frames = images.last - images.first + 1
    return Facts(", ".join(texts), picture=picture, kind=Kind.SEQUENCE, frames=frames, first=images.first)


def _read_clip(path: str) -> Facts:
    """What Blender's own reader says about a clip; the data-block goes at once."""
    try:
        clip = bpy.data.movieclips.load(path, check_existing=False)
    except RuntimeError:
        return Facts("Blender cannot read this clip", kind=Kind.CLIP)  # the backend may
    try:
        return _describe_clip(path, clip)
    finally:
        bpy.data.movieclips.remove(clip)


def _describe_clip(path: str, clip: Any) -> Facts:
    (width, height), frames, rate = clip.size, clip.frame_duration, clip.fps
    if width < 1 or frames < 1:
        return Facts("Blender cannot read this clip", kind=Kind.CLIP)
    if not compat.TURNS_MOVIES and read_movie_orientation(path) >= 5:
        width, height = height, width
    seconds = f"{frames / rate:.1f} s, {rate:.5g} fps" if rate > 0 else f"{frames} frames"
    return Facts(f"{width} x {height}, {seconds}", False, path, Kind.CLIP, frames, 1, rate)


def forget() -> None:
    """Forget what was read."""
    _photo.cache_clear()
    _kept_numbered.cache_clear()
    _clips.clear()
