# SPDX-License-Identifier: GPL-3.0-or-later
"""How a batch tells how far it is: a table that changes at a terminal, plain lines with the time in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from .progress_file import Running
from .record import ShotRecord

if TYPE_CHECKING:
    from .plan import Plan

_STYLES = {"green": "green", "amber": "yellow", "red": "bold red"}
_MOST_ROWS = 20
_PER_SECOND = 4


class Display(Protocol):
    """Told of everything that happens. A context manager."""

    def __enter__(self) -> Display: ...

    def __exit__(self, *_: object) -> None: ...

    def plan(self, plan: Plan) -> None:
        """What is going to be done."""

    def running(self, running: Mapping[str, Running]) -> None:
        """How far each shot is, by its name; called a few times a second."""

    def ended(self, record: ShotRecord) -> None:
        """A shot has ended."""

    def say(self, text: str) -> None:
        """Something else that a person wants to know."""


def choose_display(stream: TextIO | None = None) -> Display:
    """A table at a terminal, lines elsewhere; on stderr if nothing else is said."""
    stream = stream or sys.stderr
    return LiveTable(stream) if stream.isatty() else PlainLines(stream)


class PlainLines:
    """A line with the time for each thing that happens.

    Args:
        stream: Where to write.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._tally = _Tally()
        self._begun: set[str] = set()

    def __enter__(self) -> PlainLines:
        return self

    def __exit__(self, *_: object) -> None: ...

    def plan(self, plan: Plan) -> None:
        """Say what is going to be done, and why what was done before is done again."""
        self._tally.plan(plan)
        self.say(_planned(plan))
        for name, reason in plan.reasons.items():
            if reason != "not done yet":
                self.say(f"{name} is done again: {reason}")

    def running(self, running: Mapping[str, Running]) -> None:
        """Say which shots have begun."""
        for name in running.keys() - self._begun:
            self._begun.add(name)
            self.say(f"{name} begins on {running[name].machine}")

    def ended(self, record: ShotRecord) -> None:
        """Say how a shot went."""
        self.say(f"[{self._tally.next()}] {record.name} {told(record)}")

    def say(self, text: str) -> None:
        """Write a line."""
        self._stream.write(f"{time.strftime('%H:%M:%S')} {text}\n")
        self._stream.flush()


class LiveTable:
    """A table of the shots that run, under lines for those that have ended.

    Args:
        stream: A terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream, highlight=False)
        self._live = Live(console=self._console, refresh_per_second=_PER_SECOND, transient=True)
        self._tally = _Tally()

    def __enter__(self) -> LiveTable:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def plan(self, plan: Plan) -> None:
        """Say what is going to be done, and why what was done before is done again."""
        self._tally.plan(plan)
        self.say(_planned(plan))
        for name, reason in plan.reasons.items():
            if reason != "not done yet":
                self.say(f"{name} is done again: {reason}")

    def running(self, running: Mapping[str, Running]) -> None:
        """Show the table."""
        table = Table(expand=True, pad_edge=False)
        for title, ratio in (("Shot", 3), ("", 2), ("Doing", 4), ("On", 1)):
            table.add_column(title, ratio=ratio, no_wrap=True, overflow="ellipsis")
        for name, shot in sorted(running.items())[:_MOST_ROWS]:
            bar = ProgressBar(total=1.0, completed=shot.done)
            table.add_row(Text(name), bar, Text(shot.told), Text(shot.machine))
        self._live.update(Group(table, Text(self._tally.line(), style="bold")))

    def ended(self, record: ShotRecord) -> None:
        """A line above the table."""
        self._tally.next()
        colour = (f"{record.quality:>5} ", _STYLES[record.quality])
        self._console.print(Text.assemble(colour, f"{record.name} {told(record)}"))

    def say(self, text: str) -> None:
        """A line above the table."""
        self._console.print(Text(text))


class _Tally:
    """How many shots have ended, and how long the rest will take."""

    def __init__(self) -> None:
        self._all = self._ended = self._finished = 0
        self._started = time.monotonic()

    def plan(self, plan: Plan) -> None:
        self._all, self._finished = len(plan.todo), plan.finished
        self._started = time.monotonic()

    def next(self) -> str:
        self._ended += 1
        return f"{self._ended}/{self._all}"

    def line(self) -> str:
        passed = time.monotonic() - self._started
        text = f"{self._ended} of {self._all} shots, {_clock(passed)}"
        if self._ended and self._ended < self._all:
            text += f", about {_clock(passed / self._ended * (self._all - self._ended))} left"
        return text + (f"; {self._finished} were finished before" if self._finished else "")


def told(record: ShotRecord) -> str:
    """How a shot went, in a line."""
    words = {"finished": f"is {record.quality}", "partial": "failed in part", "failed": "failed"}[record.state]
    seconds = (record.seconds or {}).get("total")
    if seconds is not None:
        words += f" ({seconds:.1f} s)"
    return f"{words}: {' '.join(record.reasons)}" if record.reasons else words


def _planned(plan: Plan) -> str:
    text = f"{len(plan.todo)} of {len(plan.shots)} shots to do, results in {plan.out}"
    return text + (f"; {plan.finished} are finished" if plan.finished else "")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"
