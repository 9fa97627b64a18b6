# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a running shot is, as a small file in its folder: it is read the same way on this machine and on a farm."""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from backend.progress import cancelled
from blender_addon.contract.errors import MienError
from blender_addon.contract.files import atomic_write

if TYPE_CHECKING:
    from blender_addon.contract.status import FrameCount
    from blender_addon.contract.take import Take

PROGRESS = "progress.json"
_EVERY = 0.3
"""Seconds between two writes, and between two looks for the file that says stop."""


@dataclass(frozen=True)
class Running:
    """A shot that is being done.

    Attributes:
        stage: What is being done.
        done: How much of all, 0 to 1.
        told: A phrase for people.
        machine: Where.
    """

    stage: str
    done: float
    told: str
    machine: str


class ProgressFile:
    """Progress that others read. A context manager that removes the file.

    Args:
        folder: The shot's folder.
        stop_file: Where this is, the work ends.
    """

    def __init__(self, folder: Path, stop_file: str) -> None:
        self._path = folder / PROGRESS
        self._stop_file = stop_file
        self._written = self._looked = -_EVERY
        self._count: FrameCount | None = None

    def __enter__(self) -> ProgressFile:
        self("start", 0.0, "starting")
        return self

    def __exit__(self, *_: object) -> None:
        remove_progress(self._path.parent)

    def __call__(self, stage: str, done: float, message: str = "") -> None:
        """Note a step; of many in a short time only the first."""
        now = time.monotonic()
        if now - self._written < _EVERY:
            return
        self._written = now
        told = message or stage
        if (count := self._count) is not None:
            told += f" ({count.done} of {count.total} frames, {count.per_second:.0f} a second)"
            self._count = None
        share = min(max(done, 0.0), 1.0)
        text = json.dumps({"stage": stage, "done": share, "told": told, "machine": platform.node()})
        with suppress(MienError):  # a full disk: the results will tell
            atomic_write(self._path, lambda file: file.write(text.encode()), durable=False)

    def check_cancelled(self) -> None:
        """Go on, or stop.

        Raises:
            MienError: CANCELLED.
        """
        now = time.monotonic()
        if now - self._looked < _EVERY:
            return
        self._looked = now
        parent = multiprocessing.parent_process()
        if os.path.exists(self._stop_file) or (parent is not None and not parent.is_alive()):
            raise cancelled()

    def frames(self, count: FrameCount) -> None:
        """Remember how far a clip is, to tell it with the next step."""
        self._count = count

    def wants_preview(self) -> bool:
        """A batch shows no previews."""
        return False

    def preview(self, takes: Sequence[Take]) -> None:
        """Nothing to do: a batch shows no previews."""

    def keep(self, take: Take) -> None:
        """Nothing to do: takes are written at the end, and what they are made from is kept by the capture."""


def read_progress(folder: Path) -> Running | None:
    """How far the shot in a folder is; None where it is not running."""
    try:
        values: Mapping[str, object] = json.loads((folder / PROGRESS).read_text(encoding="utf-8"))
        return Running(str(values["stage"]), float(values["done"]), str(values["told"]), str(values["machine"]))  # type: ignore[arg-type]
    except (OSError, ValueError, KeyError, TypeError):
        return None  # not begun, done, or just being replaced on a file system that is slow to tell


def remove_progress(folder: Path) -> None:
    """Forget how far a shot is."""
    with suppress(OSError):
        (folder / PROGRESS).unlink(missing_ok=True)
