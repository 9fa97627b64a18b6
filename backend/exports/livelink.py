# SPDX-License-Identifier: GPL-3.0-or-later
"""CSV files as Live Link Face records them: 52 weights and nine angles by column name, with timecode."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from blender_addon.contract.arkit import ANGLES, CHANNELS, ArkitCurves
from blender_addon.contract.take import Take

from .curves import bounded_curves
from .rates import average_rate, steady_step
from .tables import Table, lines, read_table, write_table
from .timecode import RATE, parse_code, to_codes

COUNT = len(CHANNELS) + len(ANGLES)
_TIME, _COUNT = "Timecode", "BlendShapeCount"
_DECIMALS = 9
_MOST_FILLED = 100_000
"""Frames in one gap beyond which a file is taken to be several recordings."""
_LABEL_RATES = (24, 25, 30, 48, 50, 60, 90, 100, 120, 240)


def pascal_case(name: str) -> str:
    """A name of ARKit's as Live Link writes it."""
    return name[0].upper() + name[1:]


def _column_names() -> tuple[str, ...]:
    """The 61 columns as the app writes them: in ARKit's order, but with the right side first for jaw and mouth."""
    names = [pascal_case(name) for name in (*CHANNELS, *ANGLES)]
    for one in ("Jaw", "Mouth"):
        left, right = names.index(f"{one}Left"), names.index(f"{one}Right")
        names[left], names[right] = names[right], names[left]
    return tuple(names)


COLUMNS = _column_names()
HEADER = (_TIME, _COUNT, *COLUMNS)
"""The first line of a file."""


@dataclass(frozen=True)
class LiveLinkRecording:
    """What a file holds.

    Attributes:
        curves: Every frame, also those that the file lacks: these are interpolated and not valid. The first is at 0 s.
        rate: Nominal frames per second.
        dropped: How many frames the file lacks or has without a face.
    """

    curves: ArkitCurves
    rate: float
    dropped: int


def write_livelink(take: Take, path: Path) -> None:
    """Write a take as Live Link Face would have recorded it.

    The timecode counts 60 frames a second with thousandths of a frame, so that it tells the take's true times.

    Raises:
        MienError: CANNOT_EXPORT, NO_SPACE, NOT_PERMITTED, MISSING_FILE.
    """
    curves = bounded_curves(take)
    values = dict(zip((*CHANNELS, *ANGLES), np.concatenate((curves.weights, curves.angles), axis=1).T, strict=True))
    by_column = {pascal_case(name): column for name, column in values.items()}
    numbers = lines(np.stack([by_column[name] for name in COLUMNS], axis=1), _DECIMALS)
    codes = to_codes(curves.time - min(curves.time[0], 0.0))  # timecode has no times before 0
    write_table(path, HEADER, (f"{code},{COUNT},{row}" for code, row in zip(codes, numbers, strict=True)))


def read_livelink(path: Path, fps: float | None = None) -> LiveLinkRecording:
    """Read a file of Live Link Face, by the names of its columns in any case and order.

    Args:
        path: The file.
        fps: Frames per second that its timecode counts; by default as the timecode itself shows.

    Raises:
        MienError: BAD_IMPORT for other columns or another count, rows that are cut off, what is no number or no
            timecode, and times that run backwards; MISSING_FILE, NOT_PERMITTED, TOO_LARGE.
    """
    table = read_table(path)
    table = Table(table.path, tuple(name.lower() for name in table.names), table.rows)
    _check_columns(table)
    seen = _seen(table)
    if not seen.any():
        raise table.refuse("has no frame with a face", "Record it again with the face in view.")
    times = _times(table, fps)
    kept = [row for row, good in zip(table.rows, seen, strict=True) if good]
    numbers = Table(table.path, table.names, tuple(kept)).numbers([name.lower() for name in (*CHANNELS, *ANGLES)])
    return _filled(table, times, seen, numbers)


def _check_columns(table: Table) -> None:
    expected, got = [name.lower() for name in HEADER], table.names
    remedy = "Export it with a version of Live Link Face that writes the 61 ARKit curves."
    spelling = dict(zip(expected, HEADER, strict=True))
    if missing := [spelling[name] for name in expected if name not in got]:
        raise table.refuse(f"is no Live Link Face file of the known kind: it lacks {_named(missing)}", remedy)
    if unknown := [name for name in got if name not in expected]:
        raise table.refuse(f"is of another version of Live Link Face: it also has {_named(unknown)}", remedy)
    if len(got) != len(set(got)):
        raise table.refuse("has a column twice", remedy)


def _named(columns: list[str]) -> str:
    more = f" and {len(columns) - 5} more" if len(columns) > 5 else ""
    return f"the column{'s' if len(columns) > 1 else ''} {', '.join(columns[:5])}{more}"


def _seen(table: Table) -> np.ndarray:
    """(R,) bool: rows with a face. A row without one counts no blend shapes."""
    place = table.names.index(_COUNT.lower())
    seen = np.ones(len(table.rows), bool)
    for index, (line, cells) in enumerate(table.rows):
        if len(cells) <= place:
            raise table.refuse(f"is cut off in line {line}")
        count = table.number(line, _COUNT, cells[place])
        if count not in (0, COUNT):
            remedy = "Export it with a version of Live Link Face that writes the 61 ARKit curves."
            raise table.refuse(f"counts {count:g} blend shapes in line {line} where {COUNT} are expected", remedy)
        seen[index] = count == COUNT
    return seen


def _times(table: Table, fps: float | None) -> np.ndarray:
    """(R,) seconds from the first row."""
    place = table.names.index(_TIME.lower())
    codes = []
    for line, cells in table.rows:
        code = parse_code(cells[place]) if len(cells) > place else None
        if code is None:
            raise table.refuse(f"has no timecode in line {line}")
        codes.append(code)
    whole, frames = np.array(codes).T
    labels = round(fps) if fps else _label_rate(whole, frames)
    if frames.max() >= labels:
        reason = f"has the timecode frame {int(frames.max())} where only {labels} make a second"
        raise table.refuse(reason, "Give the rate of its timecode with --fps.")
    times = (whole * labels + frames) / (fps or labels)
    back = np.flatnonzero(np.diff(times) < 0)
    if len(back):
        reason = f"has timecodes that run backwards in line {table.rows[back[0] + 1][0]}"
        raise table.refuse(reason, "Split the file into its recordings there.")
    return times - times[0]


def _label_rate(whole: np.ndarray, frames: np.ndarray) -> int:
    """Frames in a second of timecode: from where the frames begin anew, they go on by one step."""
    within = np.diff(frames)[np.diff(whole) == 0]
    over = np.flatnonzero(np.diff(whole) == 1)
    if not len(within) or not len(over):
        return RATE
    estimate = np.median(frames[over] - frames[over + 1]) + np.median(within)
    possible = [rate for rate in _LABEL_RATES if rate > frames.max()] or [RATE]
    return min(possible, key=lambda rate: abs(rate - estimate))


def _filled(table: Table, times: np.ndarray, seen: np.ndarray, numbers: np.ndarray) -> LiveLinkRecording:
    """All frames, with the missing ones interpolated."""
    step = steady_step(times)
    grid: list[float] = []
    there: list[bool] = []
    for index, (start, end) in enumerate(pairwise(np.append(times, times[-1]))):
        grid.append(start)
        there.append(bool(seen[index]))
        missing = round((end - start) / step) - 1 if step else 0
        if missing > _MOST_FILLED:
            raise table.refuse(f"lacks {missing} frames after line {table.rows[index][0]}", "Split the file there.")
        if missing > 0 and end - start > 1.5 * step:
            grid += np.linspace(start, end, missing + 2)[1:-1].tolist()
            there += [False] * missing
    time, valid = np.array(grid), np.array(there)
    known = times[seen]
    values = np.stack([np.interp(time, known, column) for column in numbers.T], axis=1)
    curves = ArkitCurves(time, values[:, : len(CHANNELS)], values[:, len(CHANNELS) :], valid)
    return LiveLinkRecording(curves, average_rate(time), int((~valid).sum()))
