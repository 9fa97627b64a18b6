# SPDX-License-Identifier: GPL-3.0-or-later
"""Where shots are done: what running them here and on a farm have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from .record import ShotRecord
from .shot import Task
from .worker import Answer


@dataclass(frozen=True)
class Done:
    """A task that has ended.

    Attributes:
        task: The task.
        record: How it went; None where it was not done.
        busy: Whether that is because another batch works on it.
    """

    task: Task
    record: ShotRecord | None
    busy: bool = False

    @classmethod
    def of(cls, task: Task, answer: Answer) -> Done:
        """What the process that had the task answered."""
        if isinstance(answer, str):
            return cls(task, None, busy=answer == "busy")
        return cls(task, ShotRecord.from_json(answer))


class Runner(Protocol):
    """Does tasks in other processes."""

    def add(self, tasks: Sequence[Task]) -> None:
        """Take tasks; they are begun in this order, after those that were taken before."""

    def ended(self, seconds: float) -> list[Done]:
        """Tasks that have ended since the last call; waits up to `seconds` for one."""

    def begun(self) -> Sequence[Task]:
        """Tasks that may be running."""

    def close(self, kill: bool) -> None:
        """End the processes: when they have nothing to do any more, or at once."""
