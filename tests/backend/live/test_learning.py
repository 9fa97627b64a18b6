# SPDX-License-Identifier: GPL-3.0-or-later
"""Learning the head of whoever is followed, beside the frames."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from backend.live.learning import LEARNING_FRAMES, Learner

PATIENCE = 20.0


class Teacher:
    """Says which frames it was given, when it may."""

    def __init__(self) -> None:
        self.may = threading.Event()
        self.may.set()
        self.threads: set[str] = set()
        self.fails = False

    def __call__(self, seen):
        assert self.may.wait(PATIENCE)
        self.threads.add(threading.current_thread().name)
        if self.fails:
            raise ArithmeticError("no head")
        return tuple(seen)


@pytest.fixture
def teacher() -> Teacher:
    return Teacher()


@pytest.fixture
def learner(teacher) -> Iterator[Learner]:
    learner = Learner(teacher)
    yield learner
    teacher.may.set()
    learner.close()


def news(learner: Learner):
    end = time.monotonic() + PATIENCE
    while (learnt := learner.news()) is None:
        assert time.monotonic() < end
        time.sleep(0.002)
    return learnt


def test_it_learns_once_and_beside(learner, teacher):
    learner.begin()
    for frame in range(LEARNING_FRAMES + 20):
        assert not learner.done
        learner.add(frame)
    assert news(learner) == tuple(range(LEARNING_FRAMES))
    assert learner.news() is None and learner.done
    assert threading.current_thread().name not in teacher.threads


def test_too_few_frames_teach_nothing(learner):
    learner.begin()
    for frame in range(LEARNING_FRAMES - 1):
        learner.add(frame)
    assert learner.news() is None and not learner.done


def test_what_is_learnt_of_somebody_who_left_is_forgotten(learner, teacher):
    teacher.may.clear()
    learner.begin()
    for frame in range(LEARNING_FRAMES):
        learner.add(frame)
    learner.begin()
    teacher.may.set()
    for frame in range(100, 100 + LEARNING_FRAMES):
        learner.add(frame)
    assert news(learner) == tuple(range(100, 100 + LEARNING_FRAMES))


def test_a_failure_is_told_once(learner, teacher):
    teacher.fails = True
    learner.begin()
    for frame in range(LEARNING_FRAMES):
        learner.add(frame)
    with pytest.raises(ArithmeticError):
        news(learner)
    assert learner.news() is None
