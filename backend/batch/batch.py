# SPDX-License-Identifier: GPL-3.0-or-later
"""Doing a planned batch: shots go to a runner, what comes of them into the report, until all are done."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import file_error

from .display import Display
from .plan import Plan
from .progress_file import Running, read_progress
from .record import Failure, ShotRecord, read_record, write_record
from .report import BatchReport
from .runner import Runner
from .shot import Shot, Task

if TYPE_CHECKING:
    from blender_addon.animation.timing import Timing

_LOOK_SECONDS = 0.3
_RENEW_SECONDS = 5.0
"""Least time between two renewals of the report."""
_RENEW_SHARE = 20
"""Renewing the report of a large batch takes at most one part in this many of the time."""
_STOP_SECONDS = 20.0
"""How long running shots are waited for when all is to stop."""
_ASK_SECONDS = 2.0
"""Time between two looks at shots that another batch works on."""


@dataclass(frozen=True)
class Ways:
    """How shots are done.

    Attributes:
        threads: CPU threads of each process; None for a capture's usual ones.
        blender: Which Blender writes scenes, if somebody said.
        timing: How source frames fall on scene frames.
    """

    threads: int | None
    blender: str | None
    timing: Timing


@dataclass
class Outcome:
    """How a batch went.

    Attributes:
        records: Of the shots that were done now, by their names.
        stopped: Whether somebody stopped it before all were.
        full: What could not be written since the disk of the results is full, which stops it as well.
    """

    records: dict[str, ShotRecord] = field(default_factory=dict)
    stopped: bool = False
    full: Failure | None = None


def run_batch(plan: Plan, ways: Ways, runner: Runner, display: Display) -> Outcome:
    """Do what is planned.

    Args:
        plan: What.
        ways: How.
        runner: Where; closed at the end.
        display: Told of everything.

    Returns:
        How it went. Ctrl-C and a full disk stop it: what was done stays, and the report is written.

    Raises:
        MienError: What writing the report raises; the shots are all done then.
    """
    stop_file = plan.out / f".mien-stop-{secrets.token_hex(8)}"
    tasks = [
        Task(shot, str(plan.out), ways.threads, ways.blender, ways.timing, str(stop_file), plan.known[shot.name])
        for shot in plan.todo
    ]
    return _Batch(plan, tasks, runner, display, stop_file).run()


class _Batch:
    """A batch that runs."""

    def __init__(
        self, plan: Plan, tasks: Sequence[Task], runner: Runner, display: Display, stop_file: Path
    ) -> None:
        self._plan = plan
        self._runner = runner
        self._display = display
        self._stop_file = stop_file
        self._tasks = tasks
        self._left = {task.shot.name: task.shot for task in tasks}
        self._report = BatchReport(plan.out, plan.shots)
        self._outcome = Outcome()
        self._elsewhere: dict[str, Task] = {}
        self._told_of: set[str] = set()
        self._ask_at = 0.0
        self._renew_at = 0.0

    def run(self) -> Outcome:
        clean = False
        try:
            clean = self._all_done() or self._stop()
        except KeyboardInterrupt:  # the second time nothing is waited for any more
            pass
        finally:
            self._runner.close(kill=not clean)
            self._stop_file.unlink(missing_ok=True)
        with suppress(MienError) if self._outcome.full else nullcontext():
            self._report.write(self._records(), {}, over=True)
        return self._outcome

    def _all_done(self) -> bool:
        """Do the shots; whether all came to an end."""
        try:
            self._runner.add(self._tasks)
            while self._left and self._outcome.full is None:
                self._look()
                self._renew_sometimes()
        except KeyboardInterrupt:
            self._outcome.stopped = True
        return not self._left

    def _look(self) -> None:
        for done in self._runner.ended(_LOOK_SECONDS):
            if done.busy:
                self._wait_for(done.task)
                continue
            self._left.pop(done.task.shot.name, None)
            if done.record is not None:
                self._keep(done.task.shot, done.record)
        self._display.running(self._running())
        if self._elsewhere and time.monotonic() >= self._ask_at:
            self._runner.add(list(self._elsewhere.values()))
            self._elsewhere.clear()

    def _wait_for(self, task: Task) -> None:
        """Another batch works on a shot: its turn comes again later."""
        name = task.shot.name
        if name not in self._told_of:
            self._told_of.add(name)
            self._display.say(f"{name} is being done by another batch, which is waited for")
        self._elsewhere[name] = task
        self._ask_at = time.monotonic() + _ASK_SECONDS

    def _keep(self, shot: Shot, record: ShotRecord) -> None:
        folder = shot.folder(self._plan.out)
        if record.state == "failed" and read_record(folder) != record:  # its process did not get so far
            with suppress(MienError):  # its folder may be the very trouble, and the record says so
                write_record(folder, record)
        self._outcome.records[shot.name] = record
        self._outcome.full = self._outcome.full or self._no_space(record)
        self._display.ended(record)

    def _no_space(self, record: ShotRecord) -> Failure | None:
        """What could not be written where all results go: the next shots would fail in the same way.

        Another full disk is a single machine's, and stops no other.
        """
        found = (failure for failure in record.failures if failure.code == ErrorCode.NO_SPACE)
        return next((failure for failure in found if str(self._plan.out) in failure.message), None)

    def _stop(self) -> bool:
        """Let the running shots clear up behind themselves; whether all have."""
        self._display.say("There is no space for more, so the batch stops" if self._outcome.full else "Stopping")
        try:
            self._stop_file.touch()
        except OSError as error:
            self._display.say(str(file_error(self._stop_file, error)))
            return False
        for name in self._elsewhere:
            del self._left[name]
        self._elsewhere.clear()
        end = time.monotonic() + _STOP_SECONDS
        while self._left and time.monotonic() < end:
            self._look()
        return not self._left

    def _running(self) -> dict[str, Running]:
        begun = [task.shot for task in self._runner.begun()]
        found = {shot.name: read_progress(shot.folder(self._plan.out)) for shot in begun}
        return {name: running for name, running in found.items() if running is not None}

    def _records(self) -> dict[str, ShotRecord]:
        """What is known of every shot, those of other machines and of earlier runs included."""
        records: dict[str, ShotRecord] = {}
        for shot in self._plan.shots:
            if shot.name in self._left and not (self._outcome.stopped or self._outcome.full):
                continue  # what an earlier run says of it is about to be replaced
            known = self._outcome.records.get(shot.name) or read_record(shot.folder(self._plan.out))
            if known is not None:
                records[shot.name] = known
        return records

    def _renew_sometimes(self) -> None:
        now = time.monotonic()
        if now < self._renew_at:
            return
        with suppress(MienError):  # tried again soon, and at the end it is told
            self._report.write(self._records(), self._running_everywhere(), over=False)
        took = time.monotonic() - now
        self._renew_at = now + max(_RENEW_SECONDS, _RENEW_SHARE * took)

    def _running_everywhere(self) -> Mapping[str, Running]:
        """Also on the machines that do other shards."""
        found = {shot.name: read_progress(shot.folder(self._plan.out)) for shot in self._plan.shots}
        return {name: running for name, running in found.items() if running is not None}
