# SPDX-License-Identifier: GPL-3.0-or-later
"""What says that an environment is whole: a stamp with the hashes of its locks, written last.

Every start of `mien` asks here first, so this imports nothing that is slow to import.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable

STAMP = "mien-environment.json"
"""Name of the file that says what a whole environment was made from."""

UNFINISHED = "mien-unfinished"
"""Name of the file that stands in an environment while it is being changed; where it stays, the work was cut off."""

StrPath = str | os.PathLike[str]


def environment_python(folder: StrPath) -> str:
    """Path of an environment's interpreter, whether or not it is there."""
    parts = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
    return os.path.join(folder, *parts)


def lock_hashes(locks: Iterable[StrPath]) -> dict[str, str]:
    """The sha256 of each lock by its file name. Line ends do not count, as checkouts differ in them.

    Raises:
        OSError: A lock cannot be read.
    """
    hashes = {}
    for lock in locks:
        with open(lock, "rb") as file:
            content = file.read().replace(b"\r\n", b"\n")
        hashes[os.path.basename(lock)] = hashlib.sha256(content).hexdigest()
    return hashes


def read_stamp(folder: StrPath) -> dict[str, str] | None:
    """The lock hashes that an environment was made from; None when it has no readable stamp or was left unfinished."""
    if os.path.exists(os.path.join(folder, UNFINISHED)):
        return None
    try:
        with open(os.path.join(folder, STAMP), encoding="utf-8") as file:
            hashes = json.load(file)["locks"]
    # A stamp that cannot be read is no stamp: the environment is then checked and stamped anew.
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return hashes if isinstance(hashes, dict) else None


def is_ready(folder: StrPath, locks: Iterable[StrPath]) -> bool:
    """Whether an environment is whole and was made from these locks (it may hold those of others too)."""
    stamped = read_stamp(folder)
    if stamped is None or not os.path.exists(environment_python(folder)):
        return False
    return lock_hashes(locks).items() <= stamped.items()


def write_stamp(folder: StrPath, locks: Iterable[StrPath]) -> None:
    """Say that the environment is whole; the last step of making it.

    Raises:
        OSError: The folder cannot be written to.
    """
    path = os.path.join(folder, STAMP)
    with open(path + ".tmp", "w", encoding="utf-8") as file:
        json.dump({"locks": lock_hashes(locks)}, file, indent=2)
    os.replace(path + ".tmp", path)
