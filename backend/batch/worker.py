# SPDX-License-Identifier: GPL-3.0-or-later
"""A process that does one shot after the other and keeps its models loaded between them."""

from __future__ import annotations

import multiprocessing.util
import os
import signal
from collections.abc import Mapping
from typing import Literal

from blender_addon.contract.errors import ErrorCode, MienError

from .run_shot import run_shot
from .shot import Task
from .shot_lock import Busy
from .workshop import Workshop

Answer = dict[str, object] | Literal["stopped", "busy"]
"""A `ShotRecord` as JSON; or that all is to stop, or that another batch works on the shot."""

_workshop: Workshop | None = None


def prepare() -> None:
    """Begin of a local worker: Ctrl-C at the terminal reaches every process, and only the first one acts on it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def do(task: Mapping[str, object]) -> Answer:
    """Do a shot.

    Args:
        task: A `Task` as JSON.
    """
    asked = Task.from_json(task)
    if os.path.exists(asked.stop_file):
        return "stopped"
    try:
        return run_shot(asked, _ready(asked)).to_json()
    except Busy:
        return "busy"
    except MienError as error:
        if error.code is not ErrorCode.CANCELLED:
            raise
        return "stopped"


def _ready(task: Task) -> Workshop:
    global _workshop
    if _workshop is None:
        _workshop = Workshop(task.threads, task.blender)
        multiprocessing.util.Finalize(None, _workshop.close, exitpriority=10)
    return _workshop
