# SPDX-License-Identifier: GPL-3.0-or-later
"""Where shots are done: what running them here and on a farm have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from .record import ShotRecord
from .shot import Task


@dataclass(frozen=True)
class Done:
    """A task that has ended.

    Attributes:
        task: The task.
        record: How it went; None where it was stopped.
    """

    task: Task
    record: ShotRecord | None


class Runner(Protocol):
    """Does tasks in other processes."""

    def start(self, tasks: Sequence[Task]) -> None:
        """Take all tasks and begin with the first."""

    def ended(self, seconds: float) -> list[Done]:
        """Tasks that have ended since the last call; waits up to `seconds` for one."""

    def begun(self) -> Sequence[Task]:
        """Tasks that may be running."""

    def close(self, kill: bool) -> None:
        """End the processes: when they have nothing to do any more, or at once."""
