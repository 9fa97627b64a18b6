# SPDX-License-Identifier: GPL-3.0-or-later
"""The displacement maps of a take on disk: which there are, and where Blender shall read them. No bpy."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..contract.errors import ErrorCode, MienError
from ..contract.files import file_error
from ..contract.take import Take

_NUMBERED = re.compile(r"(\d+)\.exr")
_REMEDY = "Keep the folder of the maps beside the take, or capture the source again."


@dataclass(frozen=True, eq=False)
class Maps:
    """Maps of one take.

    Attributes:
        folder: Where they are.
        numbers: (T,) number of the file of each frame of the take: 0001.exr has 1.
        digits: How many digits the smallest number has in its name.
    """

    folder: Path
    numbers: np.ndarray
    digits: int

    @property
    def first(self) -> Path:
        """The first file."""
        return self.path(int(self.numbers.min()))

    def path(self, number: int) -> Path:
        """The file with a number."""
        return self.folder / f"{number:0{self.digits}d}.exr"


def maps_of(take: Take, take_file: str) -> Maps | None:
    """The maps of a take that is saved; None where it names none.

    Raises:
        MienError: MISSING_FILE where they are not beside it; BAD_TAKE for names that are none of numbered maps.
    """
    named = take.meta.displacement
    if not named:
        return None
    parts = [name.rpartition("/") for name in named]
    matches = [_NUMBERED.fullmatch(file) for _, _, file in parts]
    folders = {folder for folder, _, _ in parts}
    if len(folders) != 1 or not all(matches) or ".." in folders or os.path.isabs(next(iter(folders))):
        message = f"The take of {take.meta.source} names its displacement maps in a way that Mien does not know."
        raise MienError(ErrorCode.BAD_TAKE, message, "Capture the source again.", {"cause": "content"})
    numbers = np.array([int(match[1]) for match in matches if match])
    folder = Path(take_file).parent / next(iter(folders)) if take_file else None
    smallest = int(numbers.argmin())
    found = Maps(folder or Path(), numbers, len(parts[smallest][2]) - len(".exr"))
    missing = [number for number in np.unique(numbers).tolist() if folder is None or not found.path(number).is_file()]
    if missing:
        where = found.path(missing[0]) if folder else named[0]
        message = f"The displacement map {where} is missing, so the wrinkles are not shown."
        raise MienError(ErrorCode.MISSING_FILE, message, _REMEDY, {"missing": len(missing)})
    return found


def moved_to(maps: Maps, folder: Path) -> Maps:
    """The same maps in another folder, which they share the disk's space with where the system can (hard links).

    Raises:
        MienError: NO_SPACE, NOT_PERMITTED or MISSING_FILE; what is in the folder is as it was then.
    """
    work = folder.with_name(f".{folder.name}.new")
    moved = Maps(folder, maps.numbers, maps.digits)
    try:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        for number in np.unique(maps.numbers).tolist():
            _share(maps.path(number), work / moved.path(number).name)
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(work, folder)
    except OSError as error:
        shutil.rmtree(work, ignore_errors=True)
        raise file_error(folder, error) from error
    return moved


def _share(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
