# SPDX-License-Identifier: GPL-3.0-or-later
"""Environments with Blender as a Python module (bpy), for machines without Blender and for the tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from blender_addon.contract.errors import ErrorCode, MienError

from .environments import ensure_environment
from .interpreters import Interpreter, find_interpreter
from .runtime import lock_file

if TYPE_CHECKING:
    from backend.progress import Progress


@dataclass(frozen=True)
class BpyRelease:
    """A published bpy: each is built for one Python version only.

    Attributes:
        name: Name of its environment and, with `.txt`, of its lock.
        blender: Version of Blender; files it saves open in this version and newer.
        python: Python version it is built for.
    """

    name: str
    blender: tuple[int, int]
    python: tuple[int, int]


BPY_4_2 = BpyRelease("bpy-4.2", (4, 2), (3, 11))
BPY_5_0 = BpyRelease("bpy-5.0", (5, 0), (3, 11))
BPY_5_2 = BpyRelease("bpy-5.2", (5, 2), (3, 13))

FOR_SAVING = (BPY_4_2, BPY_5_2)
"""Releases that save .blend files, best first: 4.2's files open in every supported Blender."""

NEWEST_FOR_TESTS = (BPY_5_2, BPY_5_0)
"""Releases that stand for the newest Blender in the tests, best first."""


def choose_release(releases: Sequence[BpyRelease]) -> tuple[BpyRelease, Interpreter]:
    """The first release for which this machine has a Python.

    Raises:
        MienError: SETUP_FAILED when there is none.
    """
    for release in releases:
        if interpreter := find_interpreter(release.python):
            return release, interpreter
    wanted = " or ".join(f"{release.python[0]}.{release.python[1]}" for release in releases)
    message = f"Saving a .blend needs Blender or a Python {wanted} (with its venv part), and neither was found."
    remedy = "Install Blender 4.2 or newer or Python 3.11, or give --blender PATH."
    raise MienError(ErrorCode.SETUP_FAILED, message, remedy)


def ensure_bpy(
    release: BpyRelease,
    interpreter: Interpreter,
    root: Path,
    parent: Path,
    progress: Progress,
    extra_locks: tuple[str, ...] = (),
) -> str:
    """Make the environment of a bpy release, unless it is whole.

    Args:
        release: Which bpy.
        interpreter: Python to make it with.
        root: Folder of the sources, for the locks.
        parent: Folder that holds the environment.
        progress: Told of each step.
        extra_locks: Names of locks to install on top.

    Returns:
        Path of the environment's interpreter.

    Raises:
        MienError: See `ensure_environment`; SETUP_FAILED names the system libraries to install where some are missing.
    """
    locks = [lock_file(root, name) for name in (f"{release.name}.txt", *extra_locks)]
    return ensure_environment(parent / release.name, locks, interpreter, progress)
