# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that a capture leaves: named after its source, each whole or absent."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from blender_addon.contract.errors import MienError
from blender_addon.contract.files import atomic_write, file_error
from blender_addon.contract.take import Take

TAKE = ".take.npz"
"""What the names of takes end in."""
MAPS = ".displacement"
"""What the names of the folders of their displacement maps end in."""


@dataclass(frozen=True)
class OutputPaths:
    """Where the files of one capture go.

    Attributes:
        folder: Folder of all of them.
        stem: The source's name without its extension.
        clip: Whether the source is a clip.
    """

    folder: Path
    stem: str
    clip: bool = False

    def take(self, number: int) -> Path:
        """The take of the `number`-th captured face or person, from 1."""
        kind = "person" if self.clip else "face"
        return self.folder / (f"{self.stem}{TAKE}" if number == 1 else f"{self.stem}.{kind}{number}{TAKE}")

    @property
    def overlay(self) -> Path:
        """The fitted mesh over the photo, or over each frame of the clip."""
        return self.folder / f"{self.stem}.overlay.{'mp4' if self.clip else 'png'}"

    @property
    def people(self) -> Path:
        """The people of a clip with their numbers."""
        return self.folder / f"{self.stem}.people.png"

    @property
    def report(self) -> Path:
        """What was done and how well."""
        return self.folder / f"{self.stem}.report.json"


def take_stem(take: Path) -> str:
    """What files made of a take are named after; a take that was renamed may end in `.npz` alone."""
    return take.name.removesuffix(TAKE) if take.name.endswith(TAKE) else take.name.removesuffix(".npz")


def take_writers(paths: OutputPaths, takes: Sequence[Take]) -> dict[Path, Callable[[Path], None]]:
    """What writes each take, by its path; for `write_together`."""
    return {paths.take(number): take.save for number, take in enumerate(takes, start=1)}


def write_together(files: Mapping[Path, Callable[[Path], None]]) -> None:
    """Write files of one folder so that all of them appear or none: a failure leaves what was there before.

    Args:
        files: For each file what writes it to a path, which is another one than its own.

    Raises:
        MienError: NO_SPACE, NOT_PERMITTED, MISSING_FILE, or what the writers raise.
    """
    with working_folder(next(iter(files))) as folder:
        for target, write in files.items():
            write(folder / target.name)
        for target in files:
            _refuse_folder(target)
        for target in files:
            publish(folder / target.name, target)


@contextmanager
def working_folder(beside: Path) -> Iterator[Path]:
    """A folder next to a file to be written, so that a rename suffices at the end; removed however the work ends.

    Errors that name a file in it leave here naming the file beside it, which is the one the user knows.

    Raises:
        MienError: NOT_PERMITTED, NO_SPACE or MISSING_FILE.
    """
    try:
        folder = tempfile.TemporaryDirectory(prefix=".mien-", dir=beside.parent)
    except OSError as error:
        raise file_error(beside, error) from error
    with folder:
        try:
            yield Path(folder.name)
        except MienError as error:
            message = error.message.replace(folder.name, str(beside.parent))
            raise MienError(error.code, message, error.remedy, error.details) from error


def publish(made: Path, target: Path) -> None:
    """Give a finished file its place and name, over an older one.

    Raises:
        MienError: NOT_PERMITTED, NO_SPACE or MISSING_FILE.
    """
    try:
        os.replace(made, target)
    except OSError as error:
        raise file_error(target, error) from error


def write_png(path: Path, pixels: np.ndarray) -> None:
    """Write (H,W,3) uint8 RGB pixels as a PNG.

    Raises:
        MienError: NO_SPACE, NOT_PERMITTED or MISSING_FILE.
    """
    # Fast rather than small: the largest overlays would take seconds otherwise.
    atomic_write(path, lambda file: Image.fromarray(pixels).save(file, format="PNG", compress_level=1), durable=False)


def write_json(path: Path, values: Mapping[str, object]) -> None:
    """Write values as indented JSON.

    Raises:
        MienError: NO_SPACE, NOT_PERMITTED or MISSING_FILE.
    """
    text = json.dumps(values, indent=2, ensure_ascii=False) + "\n"
    # Names of files that are no Unicode hold lone surrogates, whose backslash form is what JSON escapes them as.
    atomic_write(path, lambda file: file.write(text.encode(errors="backslashreplace")))


def check_writable(path: Path) -> None:
    """Refuse a place that cannot be written to before the work is done.

    Raises:
        MienError: NOT_PERMITTED, NO_SPACE or MISSING_FILE.
    """
    _refuse_folder(path)
    with working_folder(path):
        pass


def _refuse_folder(path: Path) -> None:
    if os.path.isdir(path):  # unlike Path.is_dir, it does not fail in a folder that may not be looked into
        raise file_error(path, IsADirectoryError(21, "it is a folder"))
