# SPDX-License-Identifier: GPL-3.0-or-later
"""A process that does one shot after the other and keeps its models loaded between them."""

from __future__ import annotations

import multiprocessing.util
import os
import signal
from collections.abc import Mapping

from blender_addon.contract.errors import ErrorCode, MienError

from .run_shot import run_shot
from .shot import Task
from .workshop import Workshop

_workshop: Workshop | None = None


def prepare() -> None:
    """Begin of a local worker: Ctrl-C at the terminal reaches every process, and only the first one acts on it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def do(task: Mapping[str, object]) -> dict[str, object] | None:
    """Do a shot.

    Args:
        task: A `Task` as JSON.

    Returns:
        Its `ShotRecord` as JSON; None where all is to stop.
    """
    asked = Task.from_json(task)
    if os.path.exists(asked.stop_file):
        return None
    try:
        return run_shot(asked, _ready(asked)).to_json()
    except MienError as error:
        if error.code is not ErrorCode.CANCELLED:
            raise
        return None


def _ready(task: Task) -> Workshop:
    global _workshop
    if _workshop is None:
        _workshop = Workshop(task.threads, task.blender)
        multiprocessing.util.Finalize(None, _workshop.close, exitpriority=10)
    return _workshop
