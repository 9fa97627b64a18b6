# SPDX-License-Identifier: GPL-3.0-or-later
"""Which items a participant sees, in which order and on which side: random by the study's seed, and balanced.

All follows from the seed and the participant's number (0, 1, ... as they came). At any time the items of a task were
given out equally often to within one, and so were the pictures of a face where each participant sees one of them; the
sides of a comparison change with every second time that it is given out.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from .design import Item, Study, Task

_APART = 4
"""Items between two of the same face, where there are enough others."""


@dataclass(frozen=True)
class Trial:
    """An item as one participant sees it.

    Attributes:
        item: What is asked.
        swapped: Whether a comparison's second candidate is on the left.
    """

    item: Item
    swapped: bool = False

    @property
    def sides(self) -> tuple[str, str]:
        """Sources on the left and on the right of a comparison."""
        left, right = self.item.candidates
        return (right, left) if self.swapped else (left, right)


def trials(study: Study, number: int) -> tuple[Trial, ...]:
    """All trials of a participant, task by task.

    Args:
        study: The study.
        number: The participant's, from 0.
    """
    return tuple(itertools.chain.from_iterable(_block(study, task, number) for task in study.tasks))


def units(study: Study, task: Task) -> list[tuple[Item, ...]]:
    """What is balanced: each item by itself, or the items of a face, of which a participant sees one."""
    items = study.of_task(task.name)
    if not task.faces_once:
        return [(item,) for item in items]
    faces: dict[str, list[Item]] = {}
    for item in items:
        faces.setdefault(item.face, []).append(item)
    return [tuple(each) for each in faces.values()]


def _block(study: Study, task: Task, number: int) -> list[Trial]:
    seed = f"{study.seed}/{task.name}"
    groups = units(study, task)
    shown = []
    for index, before in _given(len(groups), task.per_participant or len(groups), number, seed):
        group = groups[index]
        start = Random(f"{seed}/first/{group[0].id}").randrange(len(group))
        item = group[(start + before) % len(group)]
        shown.append(Trial(item, _swapped(seed, item, before // len(group))))
    random = Random(f"{seed}/participant/{number}")
    for sample in study.of_task(task.name, samples=True):
        shown.append(Trial(sample, task.name == "comparison" and bool(random.getrandbits(1))))
    random.shuffle(shown)
    return _spread(shown)


def _given(count: int, each: int, number: int, seed: str) -> list[tuple[int, int]]:
    """Which of `count` units a participant gets, with how often each was given out before.

    Units are dealt in rounds, each a new order of all of them, `each` to a participant. The order of a round begins
    with units that the participant who takes the last of the round before has not got from that.
    """
    if each >= count:
        return [(unit, number) for unit in range(count)]
    first, dealt = number * each, []
    last_round, before = (first + each - 1) // count, []
    for turn in range(last_round + 1):
        split = turn * count % each
        had = before[count - split :] if split else []
        order = list(range(count))
        Random(f"{seed}/round/{turn}").shuffle(order)
        new = [unit for unit in order if unit not in had]
        start = new[: each - split] if split else []
        before = start + [unit for unit in order if unit not in start]
        dealt.append(before)
    flat = [(unit, turn) for turn, order in enumerate(dealt) for unit in order]
    return flat[first : first + each]


def _swapped(seed: str, item: Item, before: int) -> bool:
    """Side of a comparison: random for each two times that it is given out, the second time the other one."""
    if item.task != "comparison":
        return False
    return bool(Random(f"{seed}/side/{item.id}/{before // 2}").getrandbits(1)) ^ bool(before % 2)


def _spread(shown: Sequence[Trial]) -> list[Trial]:
    """The same trials, those of the same face apart where it can be done."""
    left, ordered = list(shown), []
    while left:
        recent = [trial.item.face for trial in ordered[-_APART:]]
        # The one whose face was shown longest ago, the first of them in the random order.
        ages = [recent[::-1].index(trial.item.face) if trial.item.face in recent else _APART for trial in left]
        ordered.append(left.pop(ages.index(max(ages))))
    return ordered
