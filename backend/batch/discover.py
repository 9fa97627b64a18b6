# SPDX-License-Identifier: GPL-3.0-or-later
"""The photos, clips and numbered sequences in a folder and all folders in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from backend.media.clip import named_like_video
from backend.media.numbered import sequences_and_stills
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import file_error

_OURS = (".overlay.mp4", ".overlay.png", ".people.png", ".thumb.jpg")
"""Ends of the names of pictures that captures leave beside their sources."""


def find_sources(folder: Path, leave_out: Path) -> list[Path]:
    """What can be captured in a folder, sorted; numbered sequences as patterns.

    What is named like a picture or a video is taken, also where it will turn out to be none. Hidden files and folders
    and the results of captures are left alone.

    Args:
        folder: Absolute.
        leave_out: A folder that is not looked into: the results'.

    Raises:
        MienError: MISSING_FILE, NOT_PERMITTED; USAGE where there is nothing.
    """
    found: list[Path] = []
    for inside in _folders(folder, leave_out):
        sequences, stills = sequences_and_stills(inside)
        found += [sequence.pattern for sequence in sequences]
        found += [path for path in stills if not path.name.endswith(_OURS)]
        found += _videos(inside)
    if not found:
        message = f"There is no photo, video or sequence of numbered pictures in {folder}."
        raise MienError(ErrorCode.USAGE, message, "Give the folder that holds the shots, or a list with --manifest.")
    return sorted(set(found), key=lambda path: path.relative_to(folder).parts)


def _folders(folder: Path, leave_out: Path) -> Iterator[Path]:
    """The folder and all in it; one that is linked to twice comes once."""
    seen: set[str] = {os.path.realpath(leave_out)}

    def fail(error: OSError) -> None:
        raise file_error(error.filename or folder, error, "read") from error

    for inside, names, _ in os.walk(folder, onerror=fail, followlinks=True):
        real = os.path.realpath(inside)
        if real in seen:
            names.clear()
            continue
        seen.add(real)
        names[:] = sorted(name for name in names if not name.startswith("."))
        yield Path(inside)


def _videos(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.is_file()]
    except OSError as error:
        raise file_error(folder, error, "read") from error
    return [
        folder / name
        for name in names
        if named_like_video(name) and not name.startswith(".") and not name.endswith(_OURS)
    ]
