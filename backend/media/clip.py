# SPDX-License-Identifier: GPL-3.0-or-later
"""The way to footage of any kind: a video, a folder of numbered pictures, or a pattern for their names."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
from PIL import Image

from backend.media.container import has_video
from backend.media.footage import Clip, ClipInfo, Frame, bad_clip
from backend.media.numbered import HEIC_SUFFIXES, is_pattern, still_suffixes
from backend.media.sequence import Sequence
from backend.media.video import Video
from blender_addon.contract.errors import ErrorCode, MienError

__all__ = ["Clip", "ClipInfo", "Frame", "frame_range", "is_clip", "named_like_video", "open_clip"]

_VIDEO_SUFFIXES = frozenset(
    ".mp4 .mov .m4v .mkv .webm .avi .mxf .mts .m2ts .ts .mpg .mpeg .m2v .wmv .asf .flv .f4v .ogv .ogg .3gp .3g2 .vob "
    ".dv .y4m .nut .ivf .h264 .264 .h265 .265 .hevc .av1 .obu .rm .rmvb .divx .mod .tod .qt .braw .r3d .insv"
    " .lrv".split()
)
# FFmpeg does not read animated WebP.
_MAY_MOVE = frozenset({"GIF", "PNG", "AVIF"})


def is_clip(path: str | Path) -> bool:
    """Whether a path is footage rather than a single picture.

    A folder, a pattern (`shot.####.png`, `shot.%04d.png`), a video, an animated GIF, PNG or AVIF. A single
    picture is none even if it is numbered and has neighbours. What is named like a video is taken as one without a
    look inside, so that opening it can say what is wrong with it.

    Args:
        path: It need not exist.
    """
    path = Path(path)
    if os.path.isdir(path) or is_pattern(path):
        return True
    if named_like_video(path):
        return True
    if not os.path.isfile(path):
        return False
    if path.suffix.lower() in still_suffixes():
        return _moves(path)
    return not _is_picture(path) and has_video(path)


def named_like_video(path: str | Path) -> bool:
    """Whether a name ends like a video's; the file is not looked at."""
    return Path(path).suffix.lower() in _VIDEO_SUFFIXES


def open_clip(path: str | Path, fps: float | None = None) -> Clip:
    """Open footage for reading; a context manager.

    The index of a video is read at once (its packets, not its pictures), so that the number of frames and their times
    are exact before the first frame is decoded.

    Args:
        path: A video, a folder of numbered pictures, or a pattern for their names.
        fps: Frames per second of numbered pictures (default 24). A video's times are its own.

    Returns:
        The clip: `info`, `frames(first, last)`, `problems`.

    Raises:
        MienError: MISSING_FILE; NOT_PERMITTED; TOO_LARGE; USAGE for an impossible `fps`; BAD_IMAGE where none of the
            numbered pictures can be read; BAD_CLIP with `details["cause"]` as listed in `container.opened`,
            `index.build_index` and `numbered.find_numbered`, or "still".
    """
    path = Path(path)
    if fps is not None and not (math.isfinite(fps) and 0 < fps <= 1000):
        raise MienError(ErrorCode.USAGE, f"A rate of {fps} frames per second is impossible.", "Give one above 0.")
    if os.path.isdir(path) or is_pattern(path):
        return Sequence(path, fps)
    if os.path.isfile(path) and _is_still(path):
        reason = "is a picture, not a clip that FFmpeg can read"
        remedy = "Capture it as a photo, or give the folder or the pattern (shot.####.png) of numbered pictures."
        raise bad_clip(path, "still", reason, remedy)
    return Video(path, fps)


def frame_range(info: ClipInfo, first_number: int | None, last_number: int | None) -> tuple[int, int]:
    """Turn the frame numbers that a user gave into indices.

    A number that a sequence lacks means the next frame inside the range.

    Args:
        info: The clip.
        first_number: As in `info.numbers`; None for the clip's first.
        last_number: Likewise, inclusive; None for the clip's last.

    Returns:
        Indices of the first and the last frame, inclusive.

    Raises:
        MienError: USAGE where the range reaches outside of the clip, runs backwards or holds no frame.
    """
    lowest, highest = int(info.numbers[0]), int(info.numbers[-1])
    low = lowest if first_number is None else first_number
    high = highest if last_number is None else last_number
    first = int(np.searchsorted(info.numbers, low))
    last = int(np.searchsorted(info.numbers, high, side="right")) - 1
    if low < lowest or high > highest or first > last:
        outside = low < lowest or high > highest or low > highest or high < lowest
        what = "is outside of" if outside else "holds no frame of"
        asked = ":".join("" if number is None else str(number) for number in (first_number, last_number))
        raise MienError(
            ErrorCode.USAGE,
            f"The range {asked} {what} {info.path}.",
            f"Its frames have the numbers {lowest} to {highest}.",
            {"path": str(info.path)},
        )
    return first, last


def _is_still(path: Path) -> bool:
    suffix = path.suffix.lower()
    if suffix in HEIC_SUFFIXES:  # FFmpeg would show the tiles of the picture as videos
        return True
    return suffix not in _VIDEO_SUFFIXES and _is_picture(path) and not _moves(path)


def _is_picture(path: Path) -> bool:
    try:
        with Image.open(path):
            return True
    # Whatever Pillow stumbles over is no picture to it.
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError):
        return False


def _moves(path: Path) -> bool:
    """Whether a picture file of a kind that can be animated has more than one frame."""
    try:
        with Image.open(path) as picture:
            return picture.format in _MAY_MOVE and getattr(picture, "n_frames", 1) > 1
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError):
        return False
