# SPDX-License-Identifier: GPL-3.0-or-later
"""The backend's log file. It gets failures and events, never images, keys or message contents."""

from __future__ import annotations

import logging
import logging.handlers
from pathlib import Path

from blender_addon.contract.files import file_error, make_folder

_MAX_BYTES = 1 << 20
_BACKUPS = 3


def start_log(folder: Path) -> Path:
    """Log Mien's messages to `backend.log` in a folder, four files of 1 MB in all; returns the file's path.

    Raises:
        MienError: NOT_PERMITTED, NO_SPACE or MISSING_FILE.
    """
    make_folder(folder)
    path = folder / "backend.log"
    try:
        handler = logging.handlers.RotatingFileHandler(
            path, maxBytes=_MAX_BYTES, backupCount=_BACKUPS, encoding="utf-8", errors="backslashreplace"
        )
    except OSError as error:
        raise file_error(path, error) from error
    handler.setFormatter(logging.Formatter("%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"))
    logger = logging.getLogger("mien")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    logger.propagate = False
    return path
