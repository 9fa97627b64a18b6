# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose answers count: who got the samples with known answers right, and took the time to look."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from .design import Study
from .records import Answer, Records


@dataclass(frozen=True)
class Screened:
    """A participant.

    Attributes:
        code: Who.
        answers: How many answers to items that are no samples.
        right: How many samples were answered rightly.
        samples: How many were answered.
        seconds: Median time for an answer; 0 without any.
        reason: Why the answers do not count; empty where they do.
    """

    code: str
    answers: int
    right: int
    samples: int
    seconds: float
    reason: str

    @property
    def counts(self) -> bool:
        """Whether the answers count."""
        return not self.reason


def screen(study: Study, records: Records) -> list[Screened]:
    """Judge all participants by the study's rule."""
    given: dict[str, list[Answer]] = defaultdict(list)
    for answer in records.latest().values():
        given[answer.participant].append(answer)
    return [_screened(study, code, given[code]) for code in records.participants]


def counted(study: Study, records: Records, people: Iterable[Screened]) -> list[Answer]:
    """The answers that count, samples apart: the last one of each participant to each item."""
    codes = {person.code for person in people if person.counts}
    return [
        answer
        for answer in records.latest().values()
        if answer.participant in codes and not study.by_id[answer.item].sample
    ]


def _screened(study: Study, code: str, answers: list[Answer]) -> Screened:
    samples = [answer for answer in answers if study.by_id[answer.item].sample]
    right = sum(answer.answer in study.by_id[answer.item].accept for answer in samples)
    seconds = median(answer.seconds for answer in answers) if answers else 0.0
    reason = _reason(study, len(answers), right, len(samples), seconds)
    return Screened(code, len(answers) - len(samples), right, len(samples), seconds, reason)


def _reason(study: Study, answers: int, right: int, samples: int, seconds: float) -> str:
    rule = study.rule
    if not answers:
        return "gave no answers"
    if any(item.sample for item in study.items):
        if not samples:
            return "stopped before the first qualification sample"
        if right < rule.passed * samples:
            return f"{right} of {samples} qualification samples right, less than {100 * rule.passed:.0f} %"
    if seconds < rule.seconds:
        return f"median time {seconds:.2f} s, less than {rule.seconds:g} s"
    return ""
