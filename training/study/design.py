# SPDX-License-Identifier: GPL-3.0-or-later
"""What a perception study asks: tasks, items, samples with known answers; kept in `study.json` beside the pictures.

After EMOCA (Danecek, Black and Bolkart, CVPR 2022, section 5): which emotion does a photo or a render show, and how
well does a render show the emotion of the photo beside it. docs/perception-study.md says which parts are ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, get_args

from blender_addon.contract.models import EMOTIONS

TaskName = Literal["classification", "consistency", "comparison"]
TASKS: tuple[TaskName, ...] = get_args(TaskName)
"""In the order in which participants do them: nobody has seen a photo beside its render when they name its emotion."""

PHOTO = "photo"
"""Where a picture comes from, when it is from no method."""
NONE_OF_THESE = "none"
EQUAL, NEITHER = "equal", "neither"
SCALE = ("not at all", "a little", "partly", "mostly", "fully")
INTENSITIES = 5
"""Steps from barely to very strong."""
PICTURES: Mapping[TaskName, int] = {"classification": 1, "consistency": 2, "comparison": 3}
"""How many pictures an item of a task shows."""


@dataclass(frozen=True)
class Picture:
    """A picture of an item.

    Attributes:
        source: `PHOTO`, the method that made the render, or in samples a word for the candidate.
        path: Relative to the study's folder, with `/`.
    """

    source: str
    path: str


@dataclass(frozen=True)
class Item:
    """One question.

    Attributes:
        id: Unique in the study.
        task: What is asked.
        face: Name of the face; photo and renders of it have the same.
        pictures: Of a classification the one picture, of a consistency photo and render, of a comparison the photo and
            the two candidates.
        instruction: What is shown instead of a picture; only in samples.
        accept: Answers that are right; empty unless it is a qualification sample.
    """

    id: str
    task: TaskName
    face: str
    pictures: tuple[Picture, ...]
    instruction: str = ""
    accept: tuple[str, ...] = ()

    @property
    def sample(self) -> bool:
        """Whether it is a qualification sample, of which the answer is known."""
        return bool(self.accept)

    @property
    def candidates(self) -> tuple[str, ...]:
        """Sources of a comparison's two candidates."""
        return tuple(picture.source for picture in self.pictures[1:])


@dataclass(frozen=True)
class Task:
    """How a task is asked.

    Attributes:
        name: Which.
        per_participant: How many of its items a participant answers, samples apart; None for all.
        faces_once: Show a participant one picture (or pair) of each face and others to the next participants.
        intensity: Also ask how strong the emotion is; classification only.
    """

    name: TaskName
    per_participant: int | None = None
    faces_once: bool = False
    intensity: bool = False


@dataclass(frozen=True)
class Rule:
    """Whose answers count.

    Attributes:
        passed: Least share of the qualification samples that were answered rightly.
        seconds: Least median time for an answer.
    """

    passed: float = 0.75
    seconds: float = 0.7


@dataclass(frozen=True)
class Study:
    """A study.

    Attributes:
        title: Shown to participants.
        seed: Of the orders and sides.
        tasks: In the order of `TASKS`.
        items: All items, samples among them.
        labels: Emotion of each face, of `EMOTIONS`, where it is known.
        scale: Words for the steps of a rating, the worst first.
        rule: Whose answers count.
    """

    title: str
    seed: int
    tasks: tuple[Task, ...]
    items: tuple[Item, ...]
    labels: Mapping[str, str] = field(default_factory=dict)
    scale: tuple[str, ...] = SCALE
    rule: Rule = Rule()

    @cached_property
    def by_id(self) -> Mapping[str, Item]:
        """The items by their ids."""
        return {item.id: item for item in self.items}

    @cached_property
    def methods(self) -> tuple[str, ...]:
        """Methods whose renders are judged, by name."""
        sources = {picture.source for item in self.items if not item.sample for picture in item.pictures}
        return tuple(sorted(sources - {PHOTO}))

    def task(self, name: TaskName) -> Task | None:
        """How a task is asked; None where it is not."""
        return next((task for task in self.tasks if task.name == name), None)

    def of_task(self, name: TaskName, *, samples: bool = False) -> tuple[Item, ...]:
        """The items of a task, or its samples."""
        return tuple(item for item in self.items if item.task == name and item.sample == samples)

    def choices(self, item: Item) -> tuple[str, ...]:
        """Every answer that an item can have."""
        return choices(item.task, self.scale, item.candidates)


def choices(task: TaskName, scale: Sequence[str], candidates: Sequence[str] = ()) -> tuple[str, ...]:
    """Every answer that a task allows: emotions or `NONE_OF_THESE`; steps from "1"; a candidate, `EQUAL`, `NEITHER`."""
    if task == "classification":
        return (*EMOTIONS, NONE_OF_THESE)
    if task == "consistency":
        return tuple(str(step) for step in range(1, len(scale) + 1))
    return (*candidates, EQUAL, NEITHER)
