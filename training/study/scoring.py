# SPDX-License-Identifier: GPL-3.0-or-later
"""From a study's tables to its result."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from blender_addon.contract.models import EMOTIONS

from .design import Study
from .ratings import Preference, Rating, preferences, ratings
from .recognition import ANSWERS, Agreement, Recognised, agreements, recognised
from .records import Records
from .screening import Screened, counted, screen


@dataclass(frozen=True, eq=False)
class Scores:
    """What came of a study.

    Attributes:
        title: Of the study.
        people: All participants.
        answers: How many answers count, samples apart.
        seen: Least and most often that an item was answered, by task.
        ratings: Of the methods, the best first.
        preferences: Of each two methods.
        recognised: What people see in photos and renders.
        agreements: Of the methods' renders with the photos.
        problems: Lines of the tables that count for nothing.
    """

    title: str
    people: tuple[Screened, ...]
    answers: int
    seen: Mapping[str, tuple[int, int]]
    ratings: tuple[Rating, ...]
    preferences: tuple[Preference, ...]
    recognised: tuple[Recognised, ...]
    agreements: tuple[Agreement, ...]
    problems: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        """JSON-able values; numbers of nothing are null."""
        names = {"emotions": list(EMOTIONS), "answers_of_classification": list(ANSWERS)}
        return names | _plain(asdict(self))  # type: ignore[operator]  # a table stays a table


def score(study: Study, records: Records) -> Scores:
    """Score a study: of each participant who passes, the last answer to each item."""
    people = screen(study, records)
    answers = counted(study, records, people)
    times = Counter(answer.item for answer in answers)
    seen = {}
    for task in study.tasks:
        each = [times[item.id] for item in study.of_task(task.name)]
        seen[task.name] = (min(each), max(each))
    return Scores(
        study.title,
        tuple(people),
        len(answers),
        seen,
        tuple(ratings(study, answers)),
        tuple(preferences(study, answers)),
        tuple(recognised(study, answers)),
        tuple(agreements(study, answers)),
        records.problems,
    )


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value
