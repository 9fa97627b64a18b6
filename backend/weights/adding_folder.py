# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder of added files while something is added: for one process alone, and without what others left in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from backend.setup.folder_lock import exclusive
from backend.weights.parts import parts_dir
from blender_addon.contract.files import file_error, make_folder

SCRATCH = ".adding-"
"""Begins the names of folders to unpack archives into."""


class _Busy(Exception):
    pass


@contextmanager
def adding_folder(waiting: Callable[[], None]) -> Iterator[Path]:
    """The folder for this process alone, which is made where it is missing.

    Args:
        waiting: Called while another process adds files, before waiting for that to end.

    Raises:
        MienError: NO_SPACE, MISSING_FILE or NOT_PERMITTED.
    """
    folder = parts_dir()
    make_folder(folder, private=True)
    lock = _lock_of(folder)
    with ExitStack() as stack:
        try:
            stack.enter_context(exclusive(lock, waiting))
        except OSError as error:
            raise file_error(lock, error, "locked") from error
        _clear(folder)
        yield folder


def clear_leftovers() -> None:
    """Remove what processes that were killed while they added files have left, unless one is adding some now."""
    folder = parts_dir()
    if folder.is_dir():
        with suppress(_Busy, OSError), exclusive(_lock_of(folder), _give_up):
            _clear(folder)


def _lock_of(folder: Path) -> Path:
    real = Path(os.path.realpath(folder))  # two data folders may have one folder of added files
    return real.with_name(f"{real.name}.lock")


def _give_up() -> None:
    raise _Busy


def _clear(folder: Path) -> None:
    for path in [*folder.glob(f"{SCRATCH}*"), *folder.glob(".*.tmp")]:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink()
