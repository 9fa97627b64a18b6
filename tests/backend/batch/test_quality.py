# SPDX-License-Identifier: GPL-3.0-or-later
"""Colours and the reasons for them."""

from __future__ import annotations

import pytest

from backend.batch.quality import judge
from backend.batch.record import Failure, Person

GOOD = Person(1, 0.006, 0.95, 0.0)


def test_nothing_to_say():
    assert judge([GOOD], [], []) == ("green", ())


@pytest.mark.parametrize(
    ("person", "quality", "said"),
    [
        (Person(1, 0.03, 0.95, 0.0), "amber", "The landmark error is 3.0 % of the eye distance, more than 2.5 %."),
        (Person(1, 0.05, 0.95, 0.0), "red", "more than 4.5 %"),
        (Person(1, 0.006, 0.6, 0.0), "amber", "The confidence is 0.60, less than 0.7."),
        (Person(1, 0.006, 0.3, 0.0), "red", "less than 0.4"),
        (Person(1, 0.006, 0.95, 0.1), "amber", "10 % of the frames were filled in"),
        (Person(1, 0.006, 0.95, 0.5), "red", "50 % of the frames"),
    ],
)
def test_each_measure(person, quality, said):
    colour, (reason,) = judge([person], [], [])
    assert colour == quality and said in reason


def test_the_worst_comes_first_and_says_who():
    colour, reasons = judge([GOOD, Person(2, 0.05, 0.6, 0.0)], ["It may be somebody else."], [])
    assert colour == "red"
    assert reasons[0].startswith("Person 2: the landmark error")
    assert "It may be somebody else." in reasons[1:]


def test_failures():
    failure = Failure("fbx", "cannot_export", "It cannot be written.", "Choose another.")
    assert judge([GOOD], [], [failure]) == ("amber", ("fbx: It cannot be written. Choose another.",))
    assert judge([], [], [failure])[0] == "red"
