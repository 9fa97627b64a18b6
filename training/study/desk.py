# SPDX-License-Identifier: GPL-3.0-or-later
"""The study's front desk: takes participants in, hands out their trials, and keeps what they answer.

What it tells a participant's page never says which method made a render, nor which trials are samples.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from backend.setup.folder_lock import exclusive
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import file_error

from .design import EQUAL, INTENSITIES, NEITHER, NONE_OF_THESE, Picture, Study
from .order import Trial, trials
from .records import (
    ANSWER_COLUMNS,
    ANSWERS,
    PARTICIPANT_COLUMNS,
    PARTICIPANTS,
    Answer,
    Participant,
    Table,
    answer_row,
    checked_seconds,
    now,
    participant_row,
    read_records,
)
from .study_file import picture_file, read_study

LOCK = ".study.lock"
WITHOUT_INTENSITY = ("neutral", NONE_OF_THESE)
"""Answers that have no intensity to ask for."""
_ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
"""Without what is read for something else."""
_CODE_LENGTH = 6


class Refused(Exception):
    """What a page asked for cannot be given; the text is for its reader."""


class Desk:
    """A study while it is served. All its methods may be called from several threads.

    Use it as a context manager: it keeps other desks from the same folder.

    Args:
        folder: The study's.

    Raises:
        MienError: BAD_STUDY, MISSING_FILE, NOT_PERMITTED, NO_SPACE; USAGE where the study is served already.
    """

    def __init__(self, folder: Path) -> None:
        self.study: Study = read_study(folder)
        with ExitStack() as stack:
            try:
                stack.enter_context(exclusive(folder / LOCK, lambda: _refuse(folder)))
            except OSError as error:
                raise file_error(folder / LOCK, error, "locked") from error
            records = read_records(folder, self.study)
            self._participant_table = Table(folder / PARTICIPANTS, PARTICIPANT_COLUMNS)
            self._answer_table = Table(folder / ANSWERS, ANSWER_COLUMNS)
            self._stack = stack.pop_all()
        self.problems = records.problems
        self._people = dict(records.participants)
        self._answers = records.latest()
        self._pictures = self._served(folder)
        self._lock = threading.Lock()

    def __enter__(self) -> Desk:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def __len__(self) -> int:
        """How many participants there are."""
        return len(self._people)

    def begin(self) -> str:
        """Take in a new participant, who has consented.

        Returns:
            The code.

        Raises:
            MienError: NO_SPACE, NOT_PERMITTED.
        """
        with self._lock:
            code = _code()
            while code in self._people:
                code = _code()
            number = 1 + max((person.number for person in self._people.values()), default=-1)
            person = Participant(code, number, now())
            self._participant_table.add(participant_row(person))
            self._people[code] = person
            return code

    def state(self, code: str) -> dict[str, object]:
        """What the page of a participant shows: the trials in order, with what was answered so far.

        Raises:
            Refused: There is no such participant.
        """
        shown = []
        with self._lock:
            person = self._person(code)
            for trial in trials(self.study, person.number):
                given = self._answers.get((person.code, trial.item.id))
                shown.append(
                    {
                        "task": trial.item.task,
                        "pictures": [self._address(picture) for picture in _placed(trial)],
                        "instruction": trial.item.instruction,
                        "answer": None if given is None else _pressed(trial, given),
                        "intensity": None if given is None else given.intensity,
                    }
                )
        return {"participant": person.code, "trials": shown}

    def answer(self, code: str, position: object, pressed: object, intensity: object, seconds: object) -> None:
        """Keep an answer. When this returns it is on the disk.

        Args:
            code: Who answers.
            position: Which trial, from 0.
            pressed: An emotion, a step, or of a comparison `left`, `right`, `equal` or `neither`.
            intensity: 1 to `INTENSITIES` where the task asks for it, else None.
            seconds: From when the pictures were there to the answer.

        Raises:
            Refused: It is no answer to that.
            MienError: NO_SPACE, NOT_PERMITTED.
        """
        with self._lock:
            person = self._person(code)
            given = trials(self.study, person.number)
            if type(position) is not int or not 0 <= position < len(given):
                raise Refused("There is no such question.")
            trial = given[position]
            answer = Answer(
                now(),
                person.code,
                trial.item.id,
                trial.sides if trial.item.task == "comparison" else (),
                self._meant(trial, pressed),
                self._strength(trial, pressed, intensity),
                _duration(seconds),
            )
            self._answer_table.add(answer_row(answer))
            self._answers[answer.participant, answer.item] = answer

    def picture(self, token: str) -> Path | None:
        """The file that a page knows by a token; None where there is none."""
        return self._pictures.get(token)

    def _person(self, code: str) -> Participant:
        person = self._people.get(code.strip().upper()) or self._people.get(code.strip())
        if person is None:
            raise Refused("There is no participant with this code.")
        return person

    def _meant(self, trial: Trial, pressed: object) -> str:
        """The answer as it is kept: of a comparison the source, not the side."""
        if trial.item.task == "comparison" and pressed in ("left", "right"):
            return trial.sides[pressed == "right"]
        allowed = self.study.choices(trial.item)
        if trial.item.task == "comparison":
            allowed = (EQUAL, NEITHER)
        if not isinstance(pressed, str) or pressed not in allowed:
            raise Refused("That is no answer to this question.")
        return pressed

    def _strength(self, trial: Trial, pressed: object, intensity: object) -> int | None:
        task = self.study.task(trial.item.task)
        asked = task is not None and task.intensity and pressed not in WITHOUT_INTENSITY
        if not asked:
            if intensity is not None:
                raise Refused("The intensity is not asked here.")
            return None
        if type(intensity) is not int or not 1 <= intensity <= INTENSITIES:
            raise Refused("The intensity is missing.")
        return intensity

    def _address(self, picture: Picture) -> str:
        return f"/picture/{_token(self.study, picture)}"

    def _served(self, folder: Path) -> dict[str, Path]:
        pictures = {picture for item in self.study.items for picture in item.pictures}
        return {_token(self.study, picture): picture_file(folder, picture) for picture in pictures}


def _placed(trial: Trial) -> tuple[Picture, ...]:
    """Pictures from left to right: of a comparison the photo in the middle."""
    if trial.item.task != "comparison":
        return trial.item.pictures
    photo, first, second = trial.item.pictures
    return (second, photo, first) if trial.swapped else (first, photo, second)


def _pressed(trial: Trial, answer: Answer) -> str:
    if trial.item.task == "comparison" and answer.answer in trial.sides:
        return ("left", "right")[trial.sides.index(answer.answer)]
    return answer.answer


def _duration(seconds: object) -> float:
    try:
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
            raise ValueError
        return checked_seconds(float(seconds))
    except (ValueError, OverflowError):
        raise Refused("The time of the answer is missing.") from None


def _token(study: Study, picture: Picture) -> str:
    """A name for a picture that does not tell where it comes from."""
    return hashlib.sha256(f"{study.seed}/{os.fspath(picture.path)}".encode(errors="backslashreplace")).hexdigest()[:24]


def _code() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(_CODE_LENGTH))


def _refuse(folder: Path) -> None:
    message = f"The study in {folder} is being served already."
    raise MienError(ErrorCode.USAGE, message, "Use the page that is open, or stop the other command first.")
