# SPDX-License-Identifier: GPL-3.0-or-later
"""Preparing a whole dataset: in several processes, on from where an interrupted run was."""

from __future__ import annotations

import csv
import io
import json
import multiprocessing
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from pebble import ProcessExpired, ProcessFuture, ProcessPool

from backend.progress import Progress
from backend.weights.landmarker import landmarker_file
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import atomic_write, file_error, make_folder
from training.datasets.records import Record, Records
from training.preprocessing import worker
from training.preprocessing.making import Style
from training.preprocessing.worker import Job, Outcome, Result

DESCRIPTION, PROBLEMS = "prepared.json", "problems.csv"
PORTION = 32
"""Pictures, and frames of a video, that a process takes at a time."""
VIDEO_PORTION = 256
_FORMAT = 1
_AHEAD = 4
"""Portions that wait for each process."""
_LEAVE_SECONDS = 60
"""How long processes may take to end the picture that they are at, when all is to stop."""

Work = Callable[[Job, Sequence[Record]], list[Result]]


@dataclass
class PrepareReport:
    """What became of a dataset's pictures."""

    total: int
    counts: Counter[Outcome] = field(default_factory=Counter)
    problems: list[Result] = field(default_factory=list)

    def add(self, results: Sequence[Result]) -> None:
        """Note results."""
        self.counts.update(result.outcome for result in results)
        self.problems += [result for result in results if result.outcome not in (Outcome.MADE, Outcome.THERE)]

    @property
    def done(self) -> int:
        """How many are dealt with."""
        return self.counts.total()

    def __str__(self) -> str:
        """One line for people."""
        told = [f"{self.counts[outcome]} {outcome.value}" for outcome in Outcome if self.counts[outcome]]
        return f"{self.done} of {self.total} pictures: {', '.join(told) or 'none'}."


def prepare_dataset(
    records: Records, job: Job, workers: int, progress: Progress, what: str, work: Work = worker.work
) -> PrepareReport:
    """Prepare all records whose files are not there yet, and list those that could not be in `problems.csv`.

    Args:
        records: of the dataset.
        job: where from, where to, how.
        workers: how many processes.
        progress: told how far it is.
        what: name of the dataset, which the prepared folder keeps.
        work: what the processes do; a function at the top of a module.

    Raises:
        MienError: USAGE where the folder holds another dataset, or faces prepared otherwise; NO_SPACE, NOT_PERMITTED.
        KeyboardInterrupt: On Ctrl-C; the pictures that were begun are ended before, and the list is written.
    """
    make_folder(job.out)
    _claim(job, what)
    report = PrepareReport(len(records))
    try:
        _run(portions(records), job, workers, _Telling(report, progress), work)
    finally:
        _write_problems(job.out / PROBLEMS, report.problems)
    return report


def job_for(folder: Path, out: Path, style: Style, progress: Progress) -> Job:
    """A job, with the landmarker's model, fetched where it is not there.

    Raises:
        MienError: As `landmarker_file`.
    """
    return Job(folder, out, style, landmarker_file(progress))


def portions(records: Records) -> Iterator[list[Record]]:
    """Pictures together, and frames of one person of one video together, in order."""
    waiting: list[Record] = []
    for record in records:
        of_video = record.frame >= 0
        most = VIDEO_PORTION if of_video else PORTION
        same = waiting and _origin(waiting[0]) == _origin(record)
        if waiting and (not same or len(waiting) >= most):
            yield waiting
            waiting = []
        waiting.append(record)
    if waiting:
        yield waiting


def _origin(record: Record) -> tuple[str, str]:
    return (record.picture, record.side) if record.frame >= 0 else ("", "")


class _Telling:
    """Collects results and tells how far it is and how long it will take."""

    def __init__(self, report: PrepareReport, progress: Progress) -> None:
        self._report, self._progress, self._begun = report, progress, time.monotonic()

    def __call__(self, results: Sequence[Result]) -> None:
        self._report.add(results)
        report = self._report
        share = report.done / report.total if report.total else 1.0
        worked = report.done - report.counts[Outcome.THERE]
        seconds = time.monotonic() - self._begun
        rest = report.total - report.done
        left = f", about {_duration(seconds / worked * rest)} left" if worked and rest else ""
        self._progress("preparing", share, f"{100 * share:.0f}% of {report.total} pictures{left}")


def _duration(seconds: float) -> str:
    """Rounded, so that lines in a log do not come with every second."""
    minutes = seconds / 60
    return f"{minutes / 60:.0f} h" if minutes > 90 else f"{minutes:.0f} min"


def _run(left: Iterator[list[Record]], job: Job, workers: int, tell: _Telling, work: Work) -> None:
    """Do all portions. One that kills its process is done again picture by picture, and the one to blame is named."""
    context = multiprocessing.get_context("spawn")  # the models' threads would not live on in a copy
    stop = context.Event()
    pool = ProcessPool(max_workers=workers, context=context, initializer=worker.prepare, initargs=[stop])
    flying: dict[ProcessFuture, list[Record]] = {}

    def schedule(portion: list[Record]) -> None:
        flying[pool.schedule(work, args=[job, portion])] = portion

    try:
        for portion in islice(left, workers * _AHEAD):
            schedule(portion)
        while flying:
            over, _ = wait(flying, return_when=FIRST_COMPLETED)
            for future in over:
                portion = flying.pop(future)
                try:
                    tell(future.result())
                except ProcessExpired as crash:
                    if len(portion) == 1:
                        tell([Result(portion[0], Outcome.CRASHED, f"status {crash.exitcode}")])
                    else:
                        for record in portion:
                            schedule([record])
                    continue
                for following in islice(left, 1):
                    schedule(following)
        pool.close()
        pool.join()
    except BaseException:  # also Ctrl-C
        stop.set()
        _leave(pool, flying, tell)
        raise


def _leave(pool: ProcessPool, flying: dict[ProcessFuture, list[Record]], tell: _Telling) -> None:
    """Let processes end the picture that they are at, so that nothing is left half, and end them."""
    begun = [future for future in flying if future.running() or future.done()]
    for future in flying.keys() - set(begun):
        future.cancel()
    try:
        over, _ = wait(begun, timeout=_LEAVE_SECONDS)
        for future in over:
            if future.exception() is None:
                tell(future.result())
    finally:
        pool.stop()
        pool.join()


def _claim(job: Job, what: str) -> None:
    """Write what the folder holds, or make sure that it holds the same."""
    style = {"landmarks": job.style.landmarks, "scale": job.style.scale}
    description = {"format": _FORMAT, "dataset": what} | style
    path = job.out / DESCRIPTION
    if not path.exists():
        text = json.dumps(description, indent=1) + "\n"
        atomic_write(path, lambda file: file.write(text.encode()))
        return
    try:
        there = json.loads(path.read_bytes())
    except OSError as error:
        raise file_error(path, error, "read") from error
    except ValueError:
        there = None
    if there != description:
        message = f"{job.out} holds other prepared faces ({there})."
        remedy = "Choose another folder, or the same dataset, landmarks and scale."
        raise MienError(ErrorCode.USAGE, message, remedy, {"path": str(path)})


def _write_problems(path: Path, problems: Sequence[Result]) -> None:
    """The list of pictures that could not be prepared, for spreadsheets; an older one is replaced."""
    text = io.StringIO(newline="")
    table = csv.writer(text)
    table.writerow(("name", "picture", "frame", "outcome", "reason"))
    for result in sorted(problems, key=lambda each: each.record.name):
        record = result.record
        frame = record.frame if record.frame >= 0 else ""
        table.writerow((record.name, record.picture, frame, result.outcome.value, result.detail))
    atomic_write(path, lambda file: file.write(text.getvalue().encode(errors="backslashreplace")))
