# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders of files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from backend.outputs import publish, working_folder
from blender_addon.contract.errors import ErrorCode, MienError

from .json_files import read_json


def write_folder(target: Path, write: Callable[[Path], None], key_file: str, mark: str) -> None:
    """Write a folder, in the place of an older one that was written in this way.

    Args:
        target: The folder.
        write: Writes it to a path that is not there yet.
        key_file: JSON file in the folder that has the mark.
        mark: Entry by which folders of ours are known; others are never replaced.

    Raises:
        MienError: NOT_PERMITTED also for a folder or file of somebody else in that place; NO_SPACE, MISSING_FILE, or
            what the writer raises.
    """
    if os.path.lexists(target) and not _is_ours(target / key_file, mark):
        message = f"{target} is there already, and Mien did not write it."
        raise MienError(ErrorCode.NOT_PERMITTED, message, "Move it away, or choose another folder with --out.")
    with working_folder(target) as beside:
        made, old = beside / target.name, beside / f"{target.name}.old"
        write(made)
        if os.path.lexists(target):
            publish(target, old)
        try:
            publish(made, target)
        except MienError:
            if os.path.lexists(old):
                publish(old, target)
            raise


def _is_ours(path: Path, mark: str) -> bool:
    with suppress(MienError):
        return mark in read_json(path).values
    return False
