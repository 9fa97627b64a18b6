# SPDX-License-Identifier: GPL-3.0-or-later
"""Red, amber or green: how well a shot went, and why, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from .record import Failure, Person

Quality = Literal["green", "amber", "red"]

LANDMARK_ERROR = (0.025, 0.045)
"""Mean landmark error, as a fraction of the eye distance, from which a shot is amber, and from which it is red. Good
footage stays under 0.015; at 0.06 nothing of the confidence is left."""
CONFIDENCE = (0.7, 0.4)
"""Mean confidence under which a shot is amber, and under which it is red."""
FILLED = (0.05, 0.25)
"""Share of frames that were filled in from which a shot is amber, and from which it is red."""

_ORDER: tuple[Quality, ...] = ("green", "amber", "red")


def judge(
    people: Sequence[Person], doubts: Sequence[str], failures: Sequence[Failure]
) -> tuple[Quality, tuple[str, ...]]:
    """How well a shot went.

    Args:
        people: What the report says of each person; nobody where the capture failed.
        doubts: Sentences about what may be wrong.
        failures: What could not be done.

    Returns:
        The colour, and the reasons why it is not green.
    """
    found: list[tuple[int, str]] = [(1, doubt) for doubt in doubts]
    for person in people:
        who = f"person {person.number}: " if len(people) > 1 else ""
        found += [(level, _sentence(text)) for level, text in _of_person(person, who)]
    found += [(1 if people else 2, str(failure)) for failure in failures]
    worst = max((level for level, _ in found), default=0)
    ordered = sorted(found, key=lambda item: -item[0])
    return _ORDER[worst], tuple(text for _, text in ordered)


def _of_person(person: Person, who: str) -> list[tuple[int, str]]:
    found = []
    if level := sum(person.landmark_error > bound for bound in LANDMARK_ERROR):
        error, bound = 100 * person.landmark_error, 100 * LANDMARK_ERROR[level - 1]
        found.append((level, f"{who}the landmark error is {error:.1f} % of the eye distance, more than {bound:g} %"))
    if level := sum(person.confidence < bound for bound in CONFIDENCE):
        found.append((level, f"{who}the confidence is {person.confidence:.2f}, less than {CONFIDENCE[level - 1]:g}"))
    if level := sum(person.filled > bound for bound in FILLED):
        share = f"{100 * person.filled:.0f} %"
        found.append((level, f"{who}{share} of the frames were filled in because the face was not seen in them"))
    return found


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
