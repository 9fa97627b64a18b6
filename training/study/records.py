# SPDX-License-Identifier: GPL-3.0-or-later
"""Participants and answers on disk: tables that only grow, line by line, each safe before it counts."""

from __future__ import annotations

import csv
import io
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from blender_addon.contract.files import file_error

from .design import INTENSITIES, Study
from .study_file import bad

PARTICIPANTS, ANSWERS = "participants.csv", "answers.csv"
PARTICIPANT_COLUMNS = ("participant", "number", "started")
ANSWER_COLUMNS = ("time", "participant", "item", "left", "right", "answer", "intensity", "seconds")
CODE = re.compile(r"[A-Za-z0-9_-]{1,32}")
"""What participants are called."""
MOST_SECONDS = 86400.0
_CUT_OFF = b" (cut off)\n"
"""Ends a line that was cut off, and keeps what is left of it from being taken for a whole one."""
_T = TypeVar("_T")


@dataclass(frozen=True)
class Participant:
    """Who takes part.

    Attributes:
        code: The name, of `CODE`.
        number: From 0, as they came.
        started: When, ISO 8601 in UTC.
    """

    code: str
    number: int
    started: str


@dataclass(frozen=True)
class Answer:
    """One answer; a later one of the same participant to the same item takes its place.

    Attributes:
        time: When, ISO 8601 in UTC.
        participant: Code of who answered.
        item: Id of the item.
        sides: Sources on the left and the right of a comparison; else empty.
        answer: Of the study's choices for the item.
        intensity: 1 to `INTENSITIES`; None where it was not asked.
        seconds: From when the pictures were there to the answer.
    """

    time: str
    participant: str
    item: str
    sides: tuple[str, str]
    answer: str
    intensity: int | None
    seconds: float


@dataclass(frozen=True)
class Records:
    """What the tables hold.

    Attributes:
        participants: By their codes.
        answers: In the order in which they were given.
        problems: Lines that count for nothing, and why.
    """

    participants: Mapping[str, Participant]
    answers: tuple[Answer, ...]
    problems: tuple[str, ...]

    def latest(self) -> dict[tuple[str, str], Answer]:
        """The answer that counts, by participant and item."""
        return {(answer.participant, answer.item): answer for answer in self.answers}


class Table:
    """A table that lines are added to.

    Args:
        path: The file; made with its first line where it is missing. A last line that was cut off stays, ended.
        columns: What the first line names.

    Raises:
        MienError: NOT_PERMITTED, NO_SPACE, MISSING_FILE.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._path = path
        try:
            with path.open("a+b") as file:
                if size := file.seek(0, os.SEEK_END):
                    file.seek(size - 1)
                    cut = file.read(1) != b"\n"
        except OSError as error:
            raise file_error(path, error) from error
        if not size:
            self.add(columns)
        elif cut:
            self._append(_CUT_OFF)

    def add(self, row: Sequence[object]) -> None:
        """Add a line; when this returns it is on the disk, and when it fails nothing of it is.

        Raises:
            MienError: NO_SPACE, NOT_PERMITTED, MISSING_FILE.
        """
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow(row)
        self._append(text.getvalue().encode(errors="backslashreplace"))

    def _append(self, line: bytes) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
        try:
            file = os.open(self._path, flags, 0o666)
            try:
                size = os.fstat(file).st_size
                try:
                    if os.write(file, line) < len(line):
                        raise OSError(28, os.strerror(28))  # ENOSPC: a disk that takes a part is full
                    os.fsync(file)
                except OSError:
                    os.ftruncate(file, size)
                    raise
            finally:
                os.close(file)
        except OSError as error:
            raise file_error(self._path, error) from error


def participant_row(participant: Participant) -> tuple[object, ...]:
    """A participant as a line of the table."""
    return participant.code, participant.number, participant.started


def answer_row(answer: Answer) -> tuple[object, ...]:
    """An answer as a line of the table."""
    intensity = "" if answer.intensity is None else answer.intensity
    sides = answer.sides or ("", "")
    return answer.time, answer.participant, answer.item, *sides, answer.answer, intensity, f"{answer.seconds:.3f}"


def read_records(folder: Path, study: Study) -> Records:
    """Read both tables; what is missing is empty, and lines that are damaged count for nothing and are told.

    Raises:
        MienError: NOT_PERMITTED; BAD_STUDY for a file that is no such table.
    """
    problems: list[str] = []
    people: dict[str, Participant] = {}
    for line, person in _rows(folder / PARTICIPANTS, PARTICIPANT_COLUMNS, _participant, problems):
        if person.code in people or any(person.number == other.number for other in people.values()):
            problems.append(f"{PARTICIPANTS} line {line}: {person.code} or the number is there already")
        else:
            people[person.code] = person
    answers = []
    for line, answer in _rows(folder / ANSWERS, ANSWER_COLUMNS, lambda cells: _answer(cells, study), problems):
        if answer.participant in people:
            answers.append(answer)
        else:
            problems.append(f"{ANSWERS} line {line}: there is no participant {answer.participant}")
    return Records(people, tuple(answers), tuple(problems))


def now() -> str:
    """This moment, ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _rows(
    path: Path, columns: Sequence[str], made: Callable[[Sequence[str]], _T], problems: list[str]
) -> Iterator[tuple[int, _T]]:
    """Rows of a table with the numbers of their lines; no cell that is written has a line break in it."""
    try:
        content = path.read_bytes() if path.exists() else b""
    except OSError as error:
        raise file_error(path, error, "read") from error
    first, *lines = content.removeprefix(b"\xef\xbb\xbf").splitlines() or [b""]
    if content and first.decode(errors="replace") != ",".join(columns):
        raise bad(path, f"its first line is not {','.join(columns)}", "Choose the folder of a study, or mend the line.")
    for number, line in enumerate(lines, start=2):
        if not line.strip():
            continue
        try:
            if number == len(lines) + 1 and not content.endswith((b"\n", b"\r")):
                raise ValueError("it is cut off")
            (cells,) = csv.reader([line.decode()], strict=True)
            if len(cells) != len(columns):
                raise ValueError(f"it has {len(cells)} cells, not {len(columns)}")
            yield number, made(cells)
        except (ValueError, csv.Error) as error:
            problems.append(f"{path.name} line {number}: {error}")


def _participant(cells: Sequence[str]) -> Participant:
    code, number, started = cells
    if not CODE.fullmatch(code) or not number.isdecimal():
        raise ValueError("it is not a participant with a number")
    return Participant(code, int(number), _time(started))


def _answer(cells: Sequence[str], study: Study) -> Answer:
    time, participant, item_id, left, right, answer, intensity, seconds = cells
    item = study.by_id.get(item_id)
    if item is None:
        raise ValueError(f"the study has no item {item_id!r}")
    if answer not in study.choices(item):
        raise ValueError(f"{answer!r} is no answer to {item_id}")
    sides = (left, right) if left or right else ()
    if set(sides) != (set(item.candidates) if item.task == "comparison" else set()):
        raise ValueError("its left and right are not those of the item")
    strength = None if not intensity else int(intensity)
    if strength is not None and not 1 <= strength <= INTENSITIES:
        raise ValueError(f"the intensity {strength} is not 1 to {INTENSITIES}")
    return Answer(_time(time), participant, item_id, sides, answer, strength, checked_seconds(float(seconds)))


def checked_seconds(seconds: float) -> float:
    """A response time.

    Raises:
        ValueError: It is none.
    """
    if not (math.isfinite(seconds) and 0 <= seconds <= MOST_SECONDS):
        raise ValueError(f"{seconds} is not a number of seconds")
    return seconds


def _time(text: str) -> str:
    datetime.fromisoformat(text)
    return text
