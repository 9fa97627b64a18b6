# SPDX-License-Identifier: GPL-3.0-or-later
"""Which emotions people see in photos and in renders: confusion, accuracy, votes, and how far both agree."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from blender_addon.contract.models import EMOTIONS

from .design import NONE_OF_THESE, PHOTO, Study
from .records import Answer
from .statistics import NOTHING, Estimate, mean, share

ANSWERS = (*EMOTIONS, NONE_OF_THESE)
"""What people answer: the columns of the matrices."""
Votes = Mapping[str, Mapping[str, Counter[str]]]
"""How often each answer was given, by source and face."""


@dataclass(frozen=True, eq=False)
class Recognised:
    """What people see in the photos, or in the renders of a method.

    Attributes:
        source: `PHOTO` or the method.
        confusion: (8, 9) int, how often each answer (`ANSWERS`) was given to faces of each label (`EMOTIONS`).
        accuracy: Share of the answers that are the label.
        voted: Share of the labelled faces whose most frequent answer is the label; ties count as wrong.
        ties: Labelled faces with several most frequent answers, and these.
        people: How many participants answered.
        faces: How many faces were answered, labelled or not.
        intensity: Mean intensity, where it was asked.
    """

    source: str
    confusion: np.ndarray
    accuracy: Estimate
    voted: Estimate
    ties: Mapping[str, tuple[str, ...]]
    people: int
    faces: int
    intensity: Estimate


@dataclass(frozen=True, eq=False)
class Agreement:
    """How far what people see in a method's renders agrees with what they see in the photos.

    Attributes:
        method: Which.
        matrix: (9, 9) expected number of faces with each answer to the photo (rows) and to the render (columns): of
            each face the shares of its answers, multiplied.
        expected: Chance that an answer to the photo and one to the render of the same face agree, mean over faces.
        voted: Share of the faces whose most frequent answers are the same; ties count as different.
        ties: Faces with several most frequent answers to either.
        same_person: Share of the pairs of answers of one participant to both pictures of a face that agree.
        intensity: Mean difference in intensity, render less photo, of these pairs.
    """

    method: str
    matrix: np.ndarray
    expected: float
    voted: Estimate
    ties: tuple[str, ...]
    same_person: Estimate
    intensity: Estimate


def votes(study: Study, answers: Sequence[Answer]) -> Votes:
    """Count the answers to classifications."""
    counted: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    for answer in _classified(study, answers):
        source, face = _of(study, answer)
        counted[source][face][answer.answer] += 1
    return counted


def majority(counter: Counter[str]) -> tuple[str, ...]:
    """The most frequent answers: one, or several where there is a tie."""
    most = max(counter.values(), default=0)
    return tuple(answer for answer in ANSWERS if most and counter[answer] == most)


def recognised(study: Study, answers: Sequence[Answer]) -> list[Recognised]:
    """Of the photos first, then of each method, where there are answers."""
    counted, given = votes(study, answers), _classified(study, answers)
    return [
        _recognised(study, source, counted[source], [each for each in given if _of(study, each)[0] == source])
        for source in (PHOTO, *study.methods)
        if source in counted
    ]


def agreements(study: Study, answers: Sequence[Answer]) -> list[Agreement]:
    """Of each method of which there are faces with answers to photo and render."""
    counted = votes(study, answers)
    given = {(a.participant, *_of(study, a)): a for a in _classified(study, answers)}
    photos = counted.get(PHOTO, {})
    made = []
    for method in study.methods:
        both = [face for face in photos if face in counted.get(method, {})]
        if both:
            made.append(_agreement(method, both, photos, counted[method], given))
    return made


def _recognised(study: Study, source: str, faces: Mapping[str, Counter[str]], own: Sequence[Answer]) -> Recognised:
    confusion = np.zeros((len(EMOTIONS), len(ANSWERS)), int)
    right, ties = 0, {}
    labelled = {face: counter for face, counter in faces.items() if face in study.labels}
    for face, counter in labelled.items():
        label = study.labels[face]
        for answer, count in counter.items():
            confusion[EMOTIONS.index(label), ANSWERS.index(answer)] += count
        first = majority(counter)
        right += first == (label,)
        if len(first) > 1:
            ties[face] = first
    strong = [answer for answer in own if answer.intensity is not None]
    return Recognised(
        source,
        confusion,
        share(int(np.trace(confusion)), int(confusion.sum())),
        share(right, len(labelled)),
        ties,
        len({answer.participant for answer in own}),
        len(faces),
        _mean_intensity(study, strong),
    )


def _agreement(
    method: str,
    both: Sequence[str],
    photos: Mapping[str, Counter[str]],
    renders: Mapping[str, Counter[str]],
    given: Mapping[tuple[str, str, str], Answer],
) -> Agreement:
    matrix = sum(np.outer(_shares(photos[face]), _shares(renders[face])) for face in both)
    firsts = [(face, majority(photos[face]), majority(renders[face])) for face in both]
    pairs = [
        (photo, render, face)
        for (person, source, face), photo in given.items()
        if source == PHOTO and (render := given.get((person, method, face))) is not None
    ]
    rated = [(p, r, face) for p, r, face in pairs if p.intensity is not None and r.intensity is not None]
    return Agreement(
        method,
        np.asarray(matrix),
        float(np.trace(matrix) / len(both)),
        share(sum(len(one) == 1 and one == other for _, one, other in firsts), len(both)),
        tuple(face for face, one, other in firsts if len(one) > 1 or len(other) > 1),
        share(sum(photo.answer == render.answer for photo, render, _ in pairs), len(pairs)),
        mean([r.intensity - p.intensity for p, r, _ in rated], [p.participant for p, _, _ in rated],
             [face for _, _, face in rated]),
    )  # fmt: skip


def _mean_intensity(study: Study, strong: Sequence[Answer]) -> Estimate:
    if not strong:
        return NOTHING
    faces = [_of(study, answer)[1] for answer in strong]
    return mean([float(a.intensity or 0) for a in strong], [a.participant for a in strong], faces, study.seed)


def _shares(counter: Counter[str]) -> np.ndarray:
    counts = np.array([counter[answer] for answer in ANSWERS], float)
    return counts / counts.sum()


def _classified(study: Study, answers: Sequence[Answer]) -> list[Answer]:
    return [answer for answer in answers if study.by_id[answer.item].task == "classification"]


def _of(study: Study, answer: Answer) -> tuple[str, str]:
    """Source and face of what was classified."""
    item = study.by_id[answer.item]
    return item.pictures[0].source, item.face
