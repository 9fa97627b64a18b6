# SPDX-License-Identifier: GPL-3.0-or-later
"""One batch at a time on a shot: several may have the same shots and the same folder for results."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from backend.setup.folder_lock import exclusive
from blender_addon.contract.files import file_error

LOCK = ".lock"
"""Name of the file in the shot's folder; it stays there."""
_AGAIN_SECONDS = 0.1


class Busy(Exception):
    """Another process is working on the shot."""


@contextmanager
def shot_lock(folder: Path, patience: float = 0.0) -> Iterator[None]:
    """Keep a shot for this process; the system lets go of it when the process ends, however it ends.

    Args:
        folder: The shot's, which is there.
        patience: For how many seconds another process is waited for.

    Raises:
        Busy: Another process has it.
        MienError: NOT_PERMITTED, also where the file system knows no locks; NO_SPACE, MISSING_FILE.
    """
    end = time.monotonic() + patience
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(exclusive(folder / LOCK, _give_up))
                break
            except Busy:
                if time.monotonic() >= end:
                    raise
                time.sleep(_AGAIN_SECONDS)
            except OSError as error:
                raise file_error(folder / LOCK, error, "locked") from error
        yield


def _give_up() -> None:
    raise Busy
