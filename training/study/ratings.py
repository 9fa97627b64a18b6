# SPDX-License-Identifier: GPL-3.0-or-later
"""How consistent the emotion of renders is with that of their photos: ratings, and comparisons of two methods."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from .design import EQUAL, NEITHER, Study
from .records import Answer
from .statistics import Estimate, mean, share


@dataclass(frozen=True)
class Rating:
    """How a method was rated.

    Attributes:
        method: Which.
        mean: Of the steps, from 1.
        score: The same as a share: 0 where all chose the lowest step, 1 where all chose the highest.
        steps: How often each step was chosen.
        people: How many participants rated it.
        faces: How many faces were rated.
    """

    method: str
    mean: Estimate
    score: Estimate
    steps: tuple[int, ...]
    people: int
    faces: int


@dataclass(frozen=True)
class Preference:
    """How two methods compare.

    Attributes:
        first: A method.
        second: The other one.
        prefers_first: Share of the answers that prefer it.
        prefers_second: The same of the other one.
        equal: Share that finds both equally good.
        neither: Share that finds neither good.
        people: How many participants compared them.
        faces: How many faces were compared.
    """

    first: str
    second: str
    prefers_first: Estimate
    prefers_second: Estimate
    equal: Estimate
    neither: Estimate
    people: int
    faces: int


def ratings(study: Study, answers: Sequence[Answer]) -> list[Rating]:
    """Of each method that was rated, the best first."""
    made = []
    for method in study.methods:
        own = [answer for answer in answers if _rates(study, answer, method)]
        if own:
            made.append(_rating(study, method, own))
    return sorted(made, key=lambda rating: -rating.mean.value)


def preferences(study: Study, answers: Sequence[Answer]) -> list[Preference]:
    """Of each two methods that were compared."""
    made = []
    for first, second in itertools.combinations(study.methods, 2):
        own = [answer for answer in answers if set(answer.sides) == {first, second}]
        if own:
            count = len(own)
            shares = (
                share(sum(answer.answer == each for answer in own), count) for each in (first, second, EQUAL, NEITHER)
            )
            made.append(Preference(first, second, *shares, len(_people(own)), len(_faces(study, own))))
    return made


def _rates(study: Study, answer: Answer, method: str) -> bool:
    item = study.by_id[answer.item]
    return item.task == "consistency" and item.pictures[1].source == method


def _rating(study: Study, method: str, own: Sequence[Answer]) -> Rating:
    values = [float(answer.answer) for answer in own]
    people = [answer.participant for answer in own]
    estimate = mean(values, people, [study.by_id[answer.item].face for answer in own], study.seed)
    top = len(study.scale)
    score = Estimate(*((value - 1) / (top - 1) for value in (estimate.value, estimate.low, estimate.high)), len(own))
    steps = tuple(sum(value == step for value in values) for step in range(1, top + 1))
    return Rating(method, estimate, score, steps, len(_people(own)), len(_faces(study, own)))


def _people(answers: Sequence[Answer]) -> set[str]:
    return {answer.participant for answer in answers}


def _faces(study: Study, answers: Sequence[Answer]) -> set[str]:
    return {study.by_id[answer.item].face for answer in answers}
