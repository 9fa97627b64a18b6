# SPDX-License-Identifier: GPL-3.0-or-later
"""A study's result as tables: for the terminal, and as CSV for other programs."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence

from .gathering import some
from .heat_map import Matrix, matrices
from .ratings import Preference
from .recognition import Agreement, Recognised
from .scoring import Scores
from .statistics import Estimate

Rows = list[tuple[object, ...]]


def told(scores: Scores) -> str:
    """Everything, for a terminal."""
    return "\n".join(_lines(scores))


def csv_tables(scores: Scores) -> dict[str, str]:
    """Text of each CSV file by its name without the ending; those that would be empty are left out."""
    tables: dict[str, Rows] = {
        "participants": [
            ("participant", "counts", "reason", "answers", "samples_right", "samples", "median_seconds"),
            *((p.code, "yes" if p.counts else "no", p.reason, p.answers, p.right, p.samples, round(p.seconds, 3))
              for p in scores.people),
        ],
        "consistency": [
            ("method", *_ends("mean"), *_ends("score"), "answers", "participants", "faces",
             *(f"step_{step}" for step in range(1, 1 + (len(scores.ratings[0].steps) if scores.ratings else 0)))),
            *((r.method, *_numbers(r.mean), *_numbers(r.score), r.mean.count, r.people, r.faces, *r.steps)
              for r in scores.ratings),
        ],
        "comparison": [
            ("first", "second", *_ends("prefers_first"), *_ends("prefers_second"), *_ends("equal"), *_ends("neither"),
             "answers", "participants", "faces"),
            *((p.first, p.second, *_numbers(p.prefers_first), *_numbers(p.prefers_second), *_numbers(p.equal),
               *_numbers(p.neither), p.equal.count, p.people, p.faces) for p in scores.preferences),
        ],
        "recognition": [
            ("source", *_ends("accuracy"), "answers", *_ends("voted"), "labelled_faces", "ties", "faces",
             "participants", *_ends("intensity")),
            *((r.source, *_numbers(r.accuracy), r.accuracy.count, *_numbers(r.voted), r.voted.count, len(r.ties),
               r.faces, r.people, *_numbers(r.intensity)) for r in scores.recognised),
        ],
        "agreement": [
            ("method", "expected", *_ends("voted"), "faces", "ties", *_ends("same_person"), "pairs",
             *_ends("intensity_difference")),
            *((a.method, _number(a.expected), *_numbers(a.voted), a.voted.count, len(a.ties),
               *_numbers(a.same_person), a.same_person.count, *_numbers(a.intensity)) for a in scores.agreements),
        ],
    }  # fmt: skip
    tables |= {f"confusion-{matrix.title.replace(' ', '-')}": _matrix_rows(matrix) for matrix in matrices(scores)}
    return {name: _csv(rows) for name, rows in tables.items() if len(rows) > 1}


def table(rows: Rows) -> list[str]:
    """Aligned lines: the first column to the left, the others to the right."""
    texts = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in texts) for column in range(len(texts[0]))]
    return [
        "  ".join(cell.ljust(width) if not column else cell.rjust(width)
                  for column, (cell, width) in enumerate(zip(row, widths, strict=True))).rstrip()
        for row in texts
    ]  # fmt: skip


def _lines(scores: Scores) -> Iterator[str]:
    out = [person for person in scores.people if not person.counts]
    yield scores.title
    people, answers = some(len(scores.people) - len(out), "participant"), some(scores.answers, "answer")
    yield f"Counted, qualification samples apart: {people}, {answers}."
    if out:
        yield f"Not counted: {some(len(out), 'participant')}."
    yield from (f"  {person.code}: {person.reason} ({some(person.answers, 'answer')})" for person in out)
    for task, (least, most) in scores.seen.items():
        yield f"Answers to each item of {task}: {least if least == most else f'{least} to {most}'}."
    yield from (f"Left out: {problem}" for problem in scores.problems)
    if scores.ratings:
        yield "\nConsistency of the emotion with the photo (95 % intervals: bootstrap over participants and faces)"
        top = len(scores.ratings[0].steps)
        head = ("method", f"mean of 1-{top}", "95 %", "score %", "95 %", "answers", "people", "faces")
        rows = [(r.method, f"{r.mean.value:.2f}", _span(r.mean, "{:.2f}"), *_percent(r.score), r.mean.count, r.people,
                 r.faces) for r in scores.ratings]  # fmt: skip
        yield from table([head, *rows])
    if scores.preferences:
        yield "\nWhich one shows the photo's emotion better (%, 95 % intervals: Wilson)"
        head = ("methods", "first", "95 %", "second", "95 %", "equal", "neither", "answers", "people", "faces")
        yield from table([head, *(_preferred(each) for each in scores.preferences)])
    if scores.recognised:
        yield from _recognition(scores)


def _preferred(each: Preference) -> tuple[object, ...]:
    shares = (_percent(each.equal)[0], _percent(each.neither)[0], each.equal.count, each.people, each.faces)
    return (f"{each.first} / {each.second}", *_percent(each.prefers_first), *_percent(each.prefers_second), *shares)


def _recognition(scores: Scores) -> Iterator[str]:
    yield "\nWhich emotion it shows: answers that are the label (%, 95 % intervals: Wilson)"
    head = ("source", "answers", "95 %", "of", "by vote", "95 %", "of", "ties", "people")
    yield from table([head, *(_recognised(each) for each in scores.recognised)])
    for each in scores.recognised:
        yield from (f"  tie: {face} ({each.source}): {' = '.join(first)}" for face, first in sorted(each.ties.items()))
    if not any(each.accuracy.count for each in scores.recognised):
        yield "The study has no labels, so no answer can be compared with one."
    if scores.agreements:
        yield "\nThe answer to the render is the answer to the photo (%)"
        head = ("method", "expected", "by vote", "95 %", "faces", "ties", "same person", "95 %", "pairs")
        yield from table([head, *(_agreed(each) for each in scores.agreements)])
    strong = [each for each in scores.recognised if each.intensity.count]
    if strong:
        yield "\nIntensity, 1 barely to 5 very"
        rows: Rows = [(each.source, f"{each.intensity.value:.2f}", _span(each.intensity, "{:.2f}")) for each in strong]
        yield from table([("source", "mean", "95 %"), *rows])
    for matrix in matrices(scores):
        yield f"\n{matrix.title}: {matrix.rows[1]} (rows) against {matrix.columns[1]}"
        yield from table([tuple(f"{cell:.2f}" if isinstance(cell, float) else cell for cell in row)
                          for row in _matrix_rows(matrix)])  # fmt: skip


def _recognised(each: Recognised) -> tuple[object, ...]:
    votes = (*_percent(each.voted), each.voted.count, len(each.ties))
    return each.source, *_percent(each.accuracy), each.accuracy.count, *votes, each.people


def _agreed(each: Agreement) -> tuple[object, ...]:
    votes = (*_percent(each.voted), each.voted.count, len(each.ties))
    return each.method, f"{100 * each.expected:.1f}", *votes, *_percent(each.same_person), each.same_person.count


def _matrix_rows(matrix: Matrix) -> Rows:
    head = (f"{matrix.rows[1]} \\ {matrix.columns[1]}", *matrix.columns[0])
    return [head, *((name, *row) for name, row in zip(matrix.rows[0], matrix.values.tolist(), strict=True))]


def _percent(each: Estimate) -> tuple[str, str]:
    """A share and its interval."""
    if not each.count:
        return "-", "-"
    return f"{100 * each.value:.1f}", f"{100 * each.low:.1f}-{100 * each.high:.1f}"


def _span(each: Estimate, form: str) -> str:
    return f"{form.format(each.low)}-{form.format(each.high)}"


def _ends(name: str) -> tuple[str, str, str]:
    return name, f"{name}_low", f"{name}_high"


def _numbers(each: Estimate) -> tuple[object, object, object]:
    return _number(each.value), _number(each.low), _number(each.high)


def _number(value: float) -> object:
    """For a cell: empty where there is nothing."""
    return round(value, 6) if math.isfinite(value) else ""


def _csv(rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
