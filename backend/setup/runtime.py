# SPDX-License-Identifier: GPL-3.0-or-later
"""The environment that the backend runs in."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .stamp import is_ready, read_stamp

if TYPE_CHECKING:
    from backend.progress import Progress

ENVIRONMENT = ".venv"
"""Name of its folder beside the sources."""

_LOCKS = ("runtime.txt",)

RAY_LOCK = "ray.txt"
ONNX_LOCK = "onnx.txt"
FAN_LOCK = "fan.txt"
TRAIN_LOCK = "train.txt"
"""Names of the locks that the extras `ray`, `onnx`, `fan` and `train` add."""


def lock_file(root: Path, name: str) -> Path:
    """Path of a lock: beside the sources, or where pip put it when Mien was installed as a package."""
    beside = root / "locks" / name
    return beside if beside.exists() else Path(sys.prefix, "share", "mien", "locks", name)


def lock_files(root: Path, extra: tuple[str, ...] = ()) -> list[Path]:
    """Paths of the backend's locks, and of others by name."""
    return [lock_file(root, name) for name in _LOCKS + extra]


def ensure_runtime(root: Path, progress: Progress, extra_locks: tuple[str, ...] = ()) -> str:
    """Make the backend's environment with the Python that runs this, unless it is whole.

    Args:
        root: Folder of the sources.
        progress: Told of each step.
        extra_locks: Names of locks to install on top of the backend's own.

    Returns:
        Path of the environment's interpreter.

    Raises:
        MienError: See `ensure_environment`.
    """
    from .environments import ensure_environment  # here, as every start imports this module for the names above
    from .interpreters import this_interpreter

    folder = root / ENVIRONMENT
    locks = lock_files(root, extra_locks)
    if not is_ready(folder, locks):
        # What was added before stays in step: a stamp speaks for all of its locks, so all are installed together.
        kept = [lock_file(root, name) for name in read_stamp(folder) or {}]
        locks += [lock for lock in kept if lock not in locks and lock.exists()]
    return ensure_environment(folder, locks, this_interpreter(), progress)
