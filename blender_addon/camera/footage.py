# SPDX-License-Identifier: GPL-3.0-or-later
"""Footage behind the head: a movie or numbered images as the camera's background, retimed to the take.

It is an image and not a movie clip, because only an image's user can be retimed, camera by camera, by keys on its frame
offset (4.2 to 5.2, seen in the viewport); a movie clip's start belongs to whoever tracks with it.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from .. import compat
from ..animation.scene_time import FOOTAGE, Plan
from ..animation.timing import key_frames, movie_numbers, retiming, source_rate
from ..contract.errors import ErrorCode, MienError
from ..contract.files import file_error
from ..contract.take import Take
from .match import image_size
from .movie_orientation import read_movie_orientation
from .orientation import UPRIGHT, read_orientation

_NUMBER = re.compile(r"(\d+)(?=\D*$)")
"""The last number of a file's name, as Blender counts sequences."""
_PATTERN = re.compile(r"#+|%0?\d*d")
_ALIKE = 0.02
"""Relative difference of two aspect ratios that is rounding to whole pixels."""
_NOTICED = 0.1
"""Frames by which a picture may be off without a word."""


@dataclass(frozen=True, eq=False)
class Footage:
    """Footage that Blender has loaded.

    Attributes:
        image: The image data-block.
        orientation: EXIF orientation that Blender does not apply itself.
        size: Width, height of the stored picture.
        rate: Frames per second that Blender gives to a movie; 0 for numbered images.
        first, last: Numbers of the first and the last picture.
    """

    image: Any
    orientation: int
    size: tuple[int, int]
    rate: float
    first: int
    last: int


def load_footage(path: str | os.PathLike[str]) -> Footage:
    """Load a movie, or numbered images given by their folder, a pattern (`shot.####.png`) or one of them.

    Raises:
        MienError: MISSING_FILE or NOT_PERMITTED; BAD_CLIP for footage that Blender cannot show.
    """
    path = os.path.abspath(path)
    files = _numbered(Path(path))
    try:
        if files:
            return _load_sequence(files)
        return _load_movie(path)
    except OSError as error:
        raise file_error(path, error, "read") from error


def show_footage(camera_object: Any, footage: Footage, take: Take, plan: Plan) -> tuple[str, ...]:
    """Show footage behind all that the camera sees, each picture on the scene frame of its sample.

    Args:
        camera_object: The camera of the take.
        footage: From `load_footage`.
        take: The take.
        plan: Where the take's frames are.

    Returns:
        Sentences about what does not line up.
    """
    camera = camera_object.data
    camera.show_background_images = True
    background = camera.background_images.new()
    background.image = footage.image
    background.display_depth = "BACK"
    background.alpha = 1.0
    _turn(background, footage, image_size(take))
    return (*_retime(camera, footage, take, plan), *_check_size(footage, take))


def start_in_scene(scene: Any, path: str | os.PathLike[str], number: int) -> int | None:
    """Scene frame on which a movie that is already in the scene, as a strip or as a movie clip, shows a picture.

    Args:
        scene: The scene.
        path: The movie.
        number: Number of the picture, from 1.

    Returns:
        None when the movie is not in the scene.
    """
    wanted = os.path.realpath(path)
    for strip in compat.strips_of(scene):
        if strip.type == "MOVIE" and os.path.realpath(bpy.path.abspath(strip.filepath)) == wanted:
            return round(compat.content_start(strip)) + number - 1
    for clip in bpy.data.movieclips:
        if os.path.realpath(bpy.path.abspath(clip.filepath)) == wanted:
            return clip.frame_start + number - 1 - clip.frame_offset
    return None


def _load_movie(path: str) -> Footage:
    stored = read_movie_orientation(path)
    image = bpy.data.images.load(path, check_existing=True)
    if image.source != "MOVIE" or not image.size[0]:
        if not image.users:
            bpy.data.images.remove(image)
        message = f"{path} is not footage that Blender can show."
        raise MienError(ErrorCode.BAD_CLIP, message, "Save it as MP4 to see it behind the head.", {"path": path})
    orientation = UPRIGHT if compat.TURNS_MOVIES else stored
    return Footage(image, orientation, tuple(image.size), _reader_rate(path), 1, max(1, image.frame_duration))


def _reader_rate(path: str) -> float:
    """Frames per second that Blender's reader gives to a movie; only movie clips tell."""
    present = set(bpy.data.movieclips)
    clip = bpy.data.movieclips.load(path, check_existing=True)
    rate = float(clip.fps)
    if clip not in present:
        bpy.data.movieclips.remove(clip)
    return rate


def _load_sequence(files: dict[int, Path]) -> Footage:
    first, last = min(files), max(files)
    orientation = read_orientation(files[first])
    image = bpy.data.images.load(str(files[first]), check_existing=False)
    size = tuple(image.size)
    if not size[0]:
        bpy.data.images.remove(image)
        message = f"{files[first]} is not an image that Blender can show."
        raise MienError(ErrorCode.BAD_CLIP, message, "Save the images as PNG to see them behind the head.")
    image.source = "SEQUENCE"
    return Footage(image, orientation, size, 0.0, first, last)


def _numbered(path: Path) -> dict[int, Path]:
    """Files of a sequence by number; none for a movie."""
    if path.is_dir():
        return _largest_series(item for item in path.iterdir() if item.is_file())
    pattern = _PATTERN.search(path.name)
    if pattern and not path.exists():
        name = re.compile(re.escape(path.name[: pattern.start()]) + r"(\d+)" + re.escape(path.name[pattern.end() :]))
        found = ((name.fullmatch(item.name), item) for item in path.parent.iterdir())
        return {int(match[1]): item for match, item in found if match}
    if path.suffix.lower() in bpy.path.extensions_image and (number := _NUMBER.search(path.stem)):
        before, after = path.stem[: number.start()], path.stem[number.end() :]
        return {
            value: item
            for (start, end, suffix, value), item in _series(path.parent.iterdir())
            if (start, end, suffix) == (before, after, path.suffix.lower())
        }
    return {}


def _series(items: Iterable[Path]) -> Iterable[tuple[tuple[str, str, str, int], Path]]:
    for item in items:
        number = _NUMBER.search(item.stem)
        if number and item.suffix.lower() in bpy.path.extensions_image:
            key = item.stem[: number.start()], item.stem[number.end() :], item.suffix.lower(), int(number[1])
            yield key, item


def _largest_series(items: Iterable[Path]) -> dict[int, Path]:
    series: dict[tuple[str, str, str], dict[int, Path]] = {}
    for (start, end, suffix, value), item in _series(items):
        series.setdefault((start, end, suffix), {})[value] = item
    return max(series.values(), key=len, default={})


def _turn(background: Any, footage: Footage, size: tuple[int, int]) -> None:
    """Fill the camera's frame with the picture, upright. Orientation as in EXIF 2.32, 4.6.4.A."""
    orientation = footage.orientation
    background.use_flip_x = orientation in (2, 5, 7)
    background.use_flip_y = orientation == 4
    background.rotation = {3: math.pi, 5: -math.pi / 2, 6: math.pi / 2, 7: math.pi / 2, 8: -math.pi / 2}.get(
        orientation, 0.0
    )
    if orientation >= 5:  # lies on its side: fitted as it is stored, then turned, then scaled up to the frame
        width, height = footage.size
        background.frame_method = "FIT"
        background.scale = max(width / height, height / width)
    else:
        background.frame_method = "FIT" if _alike(footage.size, size) else "STRETCH"  # for pixels that are not square


def _retime(camera: Any, footage: Footage, take: Take, plan: Plan) -> tuple[str, ...]:
    """Let the background show each sample's picture on the sample's scene frame."""
    frames = key_frames(take, plan.start, plan.rate, plan.timing)
    numbers = _numbers(footage, take)
    shown = retiming(frames, numbers)
    background = camera.background_images[-1]
    user = background.image_user
    user.use_auto_refresh = True
    if shown.steady:  # the whole footage plays, also outside of the take
        user.frame_start = shown.first - int(numbers[0] - footage.first)
        user.frame_offset = footage.first - 1
        user.frame_duration = footage.last - footage.first + 1
        return ()
    user.frame_start = shown.first
    user.frame_duration = shown.last - shown.first + 1
    position = np.arange(shown.first, shown.last + 1)
    offsets = shown.numbers - (position - shown.first + 1)
    changes = np.flatnonzero(np.diff(offsets, prepend=offsets[0] - 1))
    action = compat.new_action(f"{camera.name} Footage")
    action[FOOTAGE] = True
    path = f"background_images[{len(camera.background_images) - 1}].image_user.frame_offset"
    holds = np.ones(len(changes), dtype=bool)
    compat.put(compat.channels(camera, action), path, 0, position[changes], offsets[changes], holds)
    if shown.off < _NOTICED:
        return ()
    return (
        "The footage has other frame times than the scene: behind the head stands the nearest picture, up to "
        f"{shown.off / plan.rate * 1000:.0f} ms off.",
    )


def _numbers(footage: Footage, take: Take) -> np.ndarray:
    """Number (T,) of the picture of each sample."""
    if footage.rate > 0:
        return np.clip(movie_numbers(take, footage.rate), footage.first, footage.last)
    if "frame" in take.extra:
        return take.extra["frame"].astype(int)
    return footage.first + np.round((take.time - take.time[0]) * source_rate(take)).astype(int)


def _check_size(footage: Footage, take: Take) -> tuple[str, ...]:
    """Say when the footage is not that of the take; pixels that are not square change one side only."""
    size, wanted = footage.size, image_size(take)
    if footage.orientation >= 5:
        size = size[::-1]
    if _alike(size, wanted) or any(abs(side - want) <= 1 for side, want in zip(size, wanted, strict=True)):
        return ()
    return (f"{take.meta.source} has changed since it was captured, so it may not line up. Capture it again.",)


def _alike(size: tuple[int, int], other: tuple[int, int]) -> bool:
    return math.isclose(size[0] / size[1], other[0] / other[1], rel_tol=_ALIKE)
