# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder in which a capture of a clip keeps what it has done, found again by the clip and what was asked for."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from backend.media.numbered import find_numbered, is_pattern
from backend.setup.folder_lock import exclusive
from blender_addon.contract.files import file_error, make_folder
from blender_addon.contract.places import data_dir

LAYOUT = 2
"""Raised when what is kept, or how it comes about, changes: older folders are then not found."""
KEEP_SECONDS = 7 * 24 * 3600
KEEP_BYTES = 4 << 30
"""Folders that were not used for this long are deleted, and the oldest ones while all take more than this."""


def clips_dir() -> Path:
    """Folder of all of them."""
    return data_dir() / "clips"


def fingerprint(source: Path, what: Mapping[str, object]) -> str:
    """Hex digits that change with the footage (names, sizes and times of change) and with what is asked of it.

    Args:
        source: A file, or a folder or a pattern of numbered pictures: then every picture of the sequence counts, and
            nothing else in the folder, into which results may be written.
        what: JSON-able.

    Raises:
        MienError: MISSING_FILE or NOT_PERMITTED; BAD_CLIP where the sequence is none any more.
    """
    numbered = os.path.isdir(source) or is_pattern(source)
    files = list(find_numbered(source).files.values()) if numbered else [source]
    try:
        stats = [path.stat() for path in files]
    except OSError as error:
        raise file_error(source, error, "read") from error
    content = [str(source.absolute())]
    content += [[path.name, stat.st_size, stat.st_mtime_ns] for path, stat in zip(files, stats, strict=True)]
    text = json.dumps([LAYOUT, content, dict(what)], sort_keys=True)
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:32]


@contextmanager
def clip_folder(name: str, waiting: Callable[[], None]) -> Iterator[Path]:
    """The folder of this name, for this process alone.

    Args:
        name: From `fingerprint`.
        waiting: Called while another process works in it, before waiting for that to end.

    Raises:
        MienError: NO_SPACE or NOT_PERMITTED.
    """
    make_folder(clips_dir(), private=True)
    prune(keep=name)
    folder = clips_dir() / name
    make_folder(folder, private=True)
    with ExitStack() as stack:
        try:
            stack.enter_context(exclusive(folder / "lock", waiting))
            os.utime(folder)
        except OSError as error:
            raise file_error(folder, error) from error
        yield folder


def prune(keep: str = "") -> None:
    """Delete folders that are old or too many, but not those in use nor the one named `keep`."""
    try:
        folders = sorted((path for path in clips_dir().iterdir() if path.is_dir()), key=_touched, reverse=True)
    except OSError:
        return  # nothing there yet, or nothing that may be deleted
    total = 0
    for folder in folders:
        total += _size(folder)
        old = time.time() - _touched(folder) > KEEP_SECONDS or total > KEEP_BYTES
        if folder.name != keep and old and not _in_use(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _touched(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:
        return 0.0  # another process has just deleted it


def _size(folder: Path) -> int:
    try:
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    except OSError:
        return 0


def _in_use(folder: Path) -> bool:
    class _Busy(Exception):
        pass

    def busy() -> None:
        raise _Busy

    try:
        with exclusive(folder / "lock", busy):
            return False
    except (_Busy, OSError):
        return True
