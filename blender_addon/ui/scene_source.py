# SPDX-License-Identifier: GPL-3.0-or-later
"""Clips that are in the scene already: behind the camera, in the file, in the sequencer."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import bpy

from . import sequences
from .facts import facts_now


@dataclass(frozen=True)
class SceneSource:
    """A clip that the scene uses.

    Attributes:
        label: What the menu calls it.
        path: The file, or the pattern of numbered images.
        start: Scene frame at which the range begins; None where nothing says.
        first, last: The range in the source's own numbers; None for all of it.
    """

    label: str
    path: str
    start: int | None = None
    first: int | None = None
    last: int | None = None


def names(scene: Any) -> Iterator[tuple[str, str, str]]:
    """What can be taken from a scene: kind and name for `find`, and a label; cheap enough for a menu."""
    if background := _background(scene):
        yield "CAMERA", "", f"Camera: {_shown(background).name}"
    for strip in _strips(scene):
        yield "STRIP", strip.name, f"Strip: {strip.name}"
    for clip in bpy.data.movieclips:
        yield "CLIP", clip.name, f"Clip: {clip.name}"


def find(scene: Any, kind: str, name: str) -> SceneSource | None:
    """The source of one of the entries of `names`; None when it is gone."""
    if kind == "CAMERA":
        found = _background(scene)
        if found is None:
            return None
        return _clip(found.clip) if found.source == "MOVIE_CLIP" else _image(found, scene.camera.data)
    if kind == "STRIP":
        found = next((strip for strip in _strips(scene) if strip.name == name or not name), None)
        return _strip(found) if found else None
    found = bpy.data.movieclips.get(name)
    return _clip(found) if found else None


def _background(scene: Any) -> Any | None:
    """What has a clip or a moving image behind the scene's camera."""
    if scene.camera is None or scene.camera.type != "CAMERA":
        return None
    for item in scene.camera.data.background_images:
        if item.source == "MOVIE_CLIP" and item.clip is not None:
            return item
        if item.source == "IMAGE" and item.image is not None and item.image.source in {"MOVIE", "SEQUENCE"}:
            return item
    return None


def _shown(background: Any) -> Any:
    return background.clip if background.source == "MOVIE_CLIP" else background.image


def _strips(scene: Any) -> Iterator[Any]:
    """Selected films and images of the sequencer, the active one first."""
    editor = scene.sequence_editor
    if editor is None:
        return
    active = editor.active_strip
    everything = editor.strips_all if hasattr(editor, "strips_all") else editor.sequences_all  # before 4.4
    for strip in sorted(everything, key=lambda item: item != active):
        if strip.type in {"MOVIE", "IMAGE"} and (strip.select or strip == active):
            yield strip


def _clip(clip: Any) -> SceneSource:
    """A movie clip begins at its own start frame; the frames before its offset are not shown."""
    path = _absolute(clip.filepath, clip)
    if clip.source == "SEQUENCE":
        path = sequences.pattern_of(path) or path
    first = facts_now(path).first + clip.frame_offset if clip.frame_offset > 0 else None
    return SceneSource(clip.name, path, clip.frame_start, first)


def _image(background: Any, camera: Any) -> SceneSource:
    """An image behind a camera shows its picture n on the scene frame `frame_start` + n - 1 - `frame_offset`."""
    image, user = background.image, background.image_user
    path = _absolute(image.filepath, image)
    if image.source == "SEQUENCE":
        path = sequences.pattern_of(path) or path
    if camera.animation_data is not None and camera.animation_data.action is not None:  # retimed
        return SceneSource(image.name, path)
    known, last = facts_now(path), user.frame_offset + user.frame_duration
    first = max(user.frame_offset + 1, known.first)
    start = user.frame_start + first - 1 - user.frame_offset
    if user.frame_duration <= 1 or (first == known.first and last >= known.last):
        return SceneSource(image.name, path, start)
    return SceneSource(image.name, path, start, first, max(first, min(last, known.last)))


def _strip(strip: Any) -> SceneSource:
    """A strip with what its handles leave of it."""
    path = _image_strip_path(strip) if strip.type == "IMAGE" else _absolute(strip.filepath, None)
    found = facts_now(path)
    before, shown = _value(strip, "left_handle_offset"), _value(strip, "right_handle") - _value(strip, "left_handle")
    if strip.type == "IMAGE":
        begin, stretch = _first_number(strip, path), 1.0
    else:  # a film of another rate than the scene's is stretched
        cut, end = _value(strip, "content_trim_start"), _value(strip, "content_trim_end")
        played = found.frames - cut - end
        begin, stretch = found.first + cut, played / max(_value(strip, "content_duration"), 1) if played > 0 else 1.0
    first = begin + round(before * stretch)
    last = begin + round((before + shown) * stretch) - 1
    if found.frames:
        last = min(last, found.last)
    return SceneSource(strip.name, path, _value(strip, "left_handle"), first, max(first, last))


_OLD_NAMES = {
    "left_handle": "frame_final_start",
    "right_handle": "frame_final_end",
    "left_handle_offset": "frame_offset_start",
    "content_duration": "frame_duration",
    "content_trim_start": "animation_offset_start",
    "content_trim_end": "animation_offset_end",
}
"""What the properties of strips were called before 5.2."""


def _value(strip: Any, name: str) -> int:
    return round(getattr(strip, name if name in strip.bl_rna.properties else _OLD_NAMES[name]))


def _image_strip_path(strip: Any) -> str:
    path = _absolute(os.path.join(strip.directory, strip.elements[0].filename), None)
    return (sequences.pattern_of(path) or path) if len(strip.elements) > 1 else path


def _first_number(strip: Any, path: str) -> int:
    """The number in the name of the strip's first image."""
    images = sequences.find(path) if sequences.is_pattern(path) else None
    wanted = strip.elements[0].filename
    return next((number for number, name in images.names.items() if name == wanted), images.first) if images else 1


def _absolute(path: str, owner: Any) -> str:
    return os.path.normpath(bpy.path.abspath(path, library=owner.library if owner is not None else None))
