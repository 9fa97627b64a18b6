# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.study.design import Item, Picture, Study, Task
from training.study.order import trials


def _study(faces: int, sources: int, task: Task, samples: int = 0, seed: int = 0) -> Study:
    """Classifications of `sources` pictures of each face; comparisons have two candidates named after the source."""
    items = []
    for face in range(faces):
        for source in range(sources):
            pictures = [Picture(f"m{source}", "p.png")]
            if task.name == "comparison":
                pictures = [Picture("photo", "p.png"), Picture(f"a{source}", "a.png"), Picture(f"b{source}", "b.png")]
            items.append(Item(f"{face}/{source}", task.name, str(face), tuple(pictures)))
    for number in range(samples):
        items.append(Item(f"s{number}", task.name, "", (), "Choose sad.", ("sad",)))
    return Study("", seed, (task,), tuple(items))


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 12), st.integers(1, 4), st.integers(1, 50), st.booleans(), st.integers(1, 14), st.integers(0, 9))
def test_everything_is_given_out_equally_often(faces, sources, each, once, people, seed):
    study = _study(faces, sources, Task("classification", each, once), seed=seed)
    times, per_face = Counter({item.id: 0 for item in study.items}), Counter({str(face): 0 for face in range(faces)})
    for number in range(people):
        shown = [trial.item for trial in trials(study, number)]
        assert len({item.id for item in shown}) == len(shown) == min(each, faces if once else faces * sources)
        if once:
            assert len({item.face for item in shown}) == len(shown)
        times.update(item.id for item in shown)
        per_face.update(item.face for item in shown)
        if once:
            assert max(per_face.values()) - min(per_face.values()) <= 1
            for face in per_face:
                own = [times[f"{face}/{source}"] for source in range(sources)]
                assert max(own) - min(own) <= 1
        else:
            assert max(times.values()) - min(times.values()) <= 1


@pytest.mark.parametrize("each", [None, 5])
def test_sides_are_random_and_change_with_every_second_time(each):
    study = _study(12, 1, Task("comparison", each))
    seen: dict[str, list[bool]] = {}
    first = []
    for number in range(24):
        shown = trials(study, number)
        first.append(tuple(trial.swapped for trial in sorted(shown, key=lambda trial: trial.item.id)))
        for trial in shown:
            seen.setdefault(trial.item.id, []).append(trial.swapped)
            assert trial.sides == (("b0", "a0") if trial.swapped else ("a0", "b0"))
    for swaps in seen.values():
        assert all(one != other for one, other in zip(swaps[::2], swaps[1::2], strict=False))
    assert len(set(first)) > 12
    assert any(0 < sum(swaps) < len(swaps) for swaps in first)


def test_the_order_is_each_participants_own_and_always_the_same():
    study = _study(8, 2, Task("classification"), samples=2)
    orders = [tuple(trial.item.id for trial in trials(study, number)) for number in range(20)]
    assert len(set(orders)) == 20 and len({frozenset(order) for order in orders}) == 1
    assert orders == [tuple(trial.item.id for trial in trials(study, number)) for number in range(20)]
    other = _study(8, 2, Task("classification"), samples=2, seed=1)
    assert tuple(trial.item.id for trial in trials(other, 0)) != orders[0]
    places = {order.index("s0") for order in orders}
    assert len(places) > 5


def test_pictures_of_a_face_do_not_follow_each_other():
    study = _study(6, 3, Task("classification"))
    for number in range(20):
        faces = [trial.item.face for trial in trials(study, number)]
        assert all(len(set(faces[start : start + 4])) == 4 for start in range(len(faces) - 4))


def test_one_face_only_can_follow_itself():
    assert len(trials(_study(1, 4, Task("classification")), 0)) == 4


def test_tasks_come_one_after_the_other(made):
    tasks = [trial.item.task for trial in trials(made(), 3)]
    assert tasks == sorted(tasks, key=["classification", "consistency", "comparison"].index)
