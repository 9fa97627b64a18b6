# SPDX-License-Identifier: GPL-3.0-or-later
"""Shots in processes of this machine. One that kills its process is told and stops no other."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, wait

from pebble import ProcessExpired, ProcessFuture, ProcessPool

from blender_addon.contract.errors import ErrorCode, MienError

from . import worker
from .run_shot import clear_up, failed_record
from .runner import Done
from .shot import Task

ATTEMPTS = 2
"""How often a shot is begun that kills its process: the memory may have been taken by the one beside it."""


class LocalRunner:
    """Does tasks in worker processes, which stay between shots.

    Args:
        jobs: How many processes.
        work: What they do; a function at the top of a module.
    """

    def __init__(self, jobs: int, work: Callable[[Mapping[str, object]], worker.Answer] = worker.do) -> None:
        # Started anew, not forked: the models' threads would not live on in a copy.
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPool(max_workers=jobs, context=context, initializer=worker.prepare)
        self._work = work
        self._waiting: dict[ProcessFuture, tuple[Task, int]] = {}

    def add(self, tasks: Sequence[Task]) -> None:
        """Take tasks; they are begun in this order, after those that were taken before."""
        for task in tasks:
            self._schedule(task, 1)

    def ended(self, seconds: float) -> list[Done]:
        """Tasks that have ended since the last call; waits up to `seconds` for one."""
        if not self._waiting:
            time.sleep(seconds)
        over, _ = wait(self._waiting, timeout=seconds, return_when=FIRST_COMPLETED)
        done = []
        for future in over:
            task, attempt = self._waiting.pop(future)
            try:
                answer = future.result()
            except ProcessExpired as crash:
                clear_up(task)
                if attempt < ATTEMPTS:
                    self._schedule(task, attempt + 1)
                else:
                    done.append(Done(task, failed_record(task, _crashed(task, crash.exitcode))))
            except CancelledError:
                done.append(Done(task, None))
            else:
                done.append(Done.of(task, answer))
        return done

    def begun(self) -> list[Task]:
        """Tasks that are running."""
        return [task for future, (task, _) in self._waiting.items() if future.running()]

    def close(self, kill: bool) -> None:
        """End the processes."""
        if kill:
            self._pool.stop()
        else:
            self._pool.close()
        self._pool.join()
        for task, _ in self._waiting.values():
            clear_up(task)

    def _schedule(self, task: Task, attempt: int) -> None:
        self._waiting[self._pool.schedule(self._work, args=[task.to_json()])] = task, attempt


def _crashed(task: Task, status: int) -> MienError:
    source = task.shot.options.source
    killed = status == -getattr(signal, "SIGKILL", 9)
    how = f"was ended by {_signal_name(-status)}" if status < 0 else f"ended with status {status}"
    message = f"The process that captured {source} {how}, {ATTEMPTS} times."
    if killed:
        message = f"{message[:-1]}, as systems do that run out of memory."
    remedy = "Run fewer shots at once (--jobs), or capture this one by itself."
    return MienError(ErrorCode.BACKEND_DIED, message, remedy, {"status": status})


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
