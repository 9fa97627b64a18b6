# SPDX-License-Identifier: GPL-3.0-or-later
"""From pictures to a study: its items, and the samples with known answers that tell who pays attention."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import TypeVar

from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.models import EMOTIONS

from .design import EQUAL, PHOTO, PICTURES, SCALE, TASKS, Item, Picture, Rule, Study, Task, TaskName, choices
from .gathering import Gathered
from .order import units

WORDS = dict(
    zip(EMOTIONS, ("Neutral", "Happiness", "Sadness", "Surprise", "Fear", "Disgust", "Anger", "Contempt"), strict=True)
)
"""What participants read for each emotion."""
_FAR = ("sad", "fear", "disgust", "anger")
"""Emotions that nobody takes for happiness."""
_ONE_SAMPLE_IN = 10
_LEAST_SAMPLES = 2


@dataclass(frozen=True)
class Wanted:
    """What a study is to be like.

    Attributes:
        title: Shown to participants.
        tasks: Which, and how.
        seed: Of the orders, the sides and the choice of samples.
        scale: Words for the steps of a rating.
        samples: How many samples a participant sees in each task; by default one for ten items, at least two.
        rule: Whose answers count.
    """

    title: str
    tasks: tuple[Task, ...]
    seed: int = 0
    scale: tuple[str, ...] = SCALE
    samples: int | None = None
    rule: Rule = Rule()


def askable(found: Gathered) -> tuple[TaskName, ...]:
    """Tasks that the pictures allow."""
    return tuple(name for name in TASKS if any(_items(found, name)))


def make_study(found: Gathered, wanted: Wanted) -> Study:
    """Make items and samples.

    Raises:
        MienError: USAGE for a task that the pictures do not allow.
    """
    items = {name: tuple(_items(found, name)) for name in TASKS}
    for task in wanted.tasks:
        if not items[task.name]:
            need = "two methods with renders" if task.name == "comparison" else "renders"
            message = f"There is nothing to ask for the task {task.name}: no face has {need}."
            raise MienError(ErrorCode.USAGE, message, f"Add renders, or leave {task.name} out of --tasks.")
    ordered = tuple(sorted(wanted.tasks, key=lambda task: TASKS.index(task.name)))
    study = Study(wanted.title, wanted.seed, ordered, (), found.labels, wanted.scale, wanted.rule)
    study = replace(study, items=tuple(item for task in ordered for item in items[task.name]))
    samples = [sample for task in ordered for sample in _samples(found, study, task, wanted)]
    return replace(study, items=(*study.items, *samples))


def _items(found: Gathered, task: TaskName) -> Iterator[Item]:
    for face, photo in found.photos.items():
        renders = {method: paths[face] for method, paths in found.renders.items() if face in paths}
        sources = [Picture(PHOTO, photo), *(Picture(method, path) for method, path in renders.items())]
        shown: Sequence[Sequence[Picture]]
        if task == "classification":
            shown = [(source,) for source in sources]
        else:
            shown = [(sources[0], *others) for others in itertools.combinations(sources[1:], PICTURES[task] - 1)]
        for pictures in shown:
            judged = pictures if task == "classification" else pictures[1:]
            yield Item(f"{task}/{'+'.join(picture.source for picture in judged)}/{face}", task, face, tuple(pictures))


def _samples(found: Gathered, study: Study, task: Task, wanted: Wanted) -> Iterator[Item]:
    """Samples of a task, of as many kinds as the labels allow in turn."""
    asked = len(units(study, task))
    asked = min(asked, task.per_participant or asked)
    count = max(_LEAST_SAMPLES, math.ceil(asked / _ONE_SAMPLE_IN)) if wanted.samples is None else wanted.samples
    random = Random(f"{wanted.seed}/samples/{task.name}")
    kinds = {"classification": _classified, "consistency": _rated, "comparison": _compared}[task.name]
    for number, (item, accept) in enumerate(itertools.islice(kinds(found, study, random), count), start=1):
        yield replace(item, id=f"sample/{task.name}/{number}", accept=accept)


_Kinds = Iterator[tuple[Item, tuple[str, ...]]]
_T = TypeVar("_T")


def _classified(found: Gathered, study: Study, random: Random) -> _Kinds:
    """A photo of a happy face, which people agree on most, and an instruction."""
    happy = _shuffled([face for face, label in found.labels.items() if label == "happy"], random)
    for number in itertools.count():
        if happy and number % 2 == 0:
            face = happy[number // 2 % len(happy)]
            yield Item("", "classification", face, (Picture(PHOTO, found.photos[face]),)), ("happy",)
        else:
            emotion = random.choice(EMOTIONS)
            text = f"This time, please choose \u201c{WORDS[emotion]}\u201d."
            yield Item("", "classification", "", (), text), (emotion,)


def _rated(found: Gathered, study: Study, random: Random) -> _Kinds:
    """A photo beside itself, and beside a render of a face with a far emotion."""
    steps = choices("consistency", study.scale)
    middle = (len(steps) + 1) / 2
    high = tuple(step for step in steps if int(step) > middle)
    low = tuple(step for step in steps if int(step) < middle)
    same, far = itertools.cycle(_shuffled(list(found.photos), random)), _far_renders(found, random)
    for number in itertools.count():
        if number % 2 and far:
            face, render = far[number // 2 % len(far)]
            yield Item("", "consistency", face, (Picture(PHOTO, found.photos[face]), Picture("other", render))), low
        else:
            face = next(same)
            photo = found.photos[face]
            yield Item("", "consistency", face, (Picture(PHOTO, photo), Picture("same", photo))), high


def _compared(found: Gathered, study: Study, random: Random) -> _Kinds:
    """The photo itself against a render: of a far emotion, or, without labels, of the face."""
    far = _far_renders(found, random)
    own = [(face, path) for paths in found.renders.values() for face, path in paths.items()]
    accept = ("same",) if far else ("same", EQUAL)
    for face, render in itertools.cycle(far or _shuffled(own, random)):
        photo = found.photos[face]
        pictures = (Picture(PHOTO, photo), Picture("same", photo), Picture("other", render))
        yield Item("", "comparison", face, pictures), accept


def _far_renders(found: Gathered, random: Random) -> list[tuple[str, str]]:
    """Faces with renders of other faces whose emotion is far from theirs."""
    labels = found.labels
    renders = [(face, path) for paths in found.renders.values() for face, path in paths.items() if face in labels]
    far = []
    for face in _shuffled(list(labels), random):
        others = [path for other, path in renders if _are_far(labels[face], labels[other])]
        if others:
            far.append((face, random.choice(others)))
    return far


def _are_far(one: str, other: str) -> bool:
    return (one == "happy" and other in _FAR) or (other == "happy" and one in _FAR)


def _shuffled(values: Sequence[_T], random: Random) -> list[_T]:
    return random.sample(values, len(values))
