# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that a capture leaves: named after the photo, all of them whole or none."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from blender_addon.contract.errors import MienError
from blender_addon.contract.files import atomic_write, file_error
from blender_addon.contract.take import Take


@dataclass(frozen=True)
class OutputPaths:
    """Where the files of one photo go.

    Attributes:
        folder: Folder of all of them.
        stem: The photo's name without its extension.
    """

    folder: Path
    stem: str

    def take(self, number: int) -> Path:
        """The take of the `number`-th captured face, from 1."""
        return self.folder / (f"{self.stem}.take.npz" if number == 1 else f"{self.stem}.face{number}.take.npz")

    @property
    def overlay(self) -> Path:
        """The fitted mesh over the photo."""
        return self.folder / f"{self.stem}.overlay.png"

    @property
    def report(self) -> Path:
        """What was done and how well."""
        return self.folder / f"{self.stem}.report.json"


def write_capture(
    paths: OutputPaths, takes: Sequence[Take], overlay: np.ndarray, report: Mapping[str, object]
) -> list[Path]:
    """Write takes, overlay and report; a failure leaves what was there before.

    Args:
        paths: Where to.
        takes: One for each captured face.
        overlay: (H,W,3) uint8 RGB.
        report: JSON-able values.

    Returns:
        The takes' paths.

    Raises:
        MienError: NO_SPACE, NOT_PERMITTED or MISSING_FILE.
    """
    targets = [paths.take(number) for number in range(1, len(takes) + 1)]
    with working_folder(paths.report) as folder:
        for take, target in zip(takes, targets, strict=True):
            take.save(folder / target.name)
        write_png(folder / paths.overlay.name, overlay)
        write_json(folder / paths.report.name, report)
        published = (*targets, paths.overlay, paths.report)
        for target in published:
            _refuse_folder(target)
        for target in published:
            publish(folder / target.name, target)
    return targets


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
