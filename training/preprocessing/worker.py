# SPDX-License-Identifier: GPL-3.0-or-later
"""A process that prepares one portion of a dataset after the other."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from multiprocessing.synchronize import Event
from pathlib import Path

import numpy as np

from backend.faces.landmarker import FaceFinder
from backend.media.clip import open_clip
from backend.media.images import read_image
from blender_addon.contract.errors import ErrorCode, MienError
from training.datasets.prepared import PreparedFiles
from training.datasets.records import Record
from training.preprocessing.making import Style, make_face, write_face

_OF_THE_FILE = frozenset(
    {ErrorCode.BAD_IMAGE, ErrorCode.BAD_CLIP, ErrorCode.MISSING_FILE, ErrorCode.NOT_PERMITTED, ErrorCode.TOO_LARGE}
)
"""What is wrong with one picture; everything else stops the work."""


class Outcome(StrEnum):
    """What became of a picture."""

    MADE = "made"
    THERE = "already there"
    NO_FACE = "no face"
    UNREADABLE = "unreadable"
    CRASHED = "process died"


@dataclass(frozen=True)
class Result:
    """What became of a record, and why."""

    record: Record
    outcome: Outcome
    detail: str = ""


@dataclass(frozen=True)
class Job:
    """What all portions have in common.

    Attributes:
        folder: of the dataset.
        out: where prepared faces go.
        style: of these.
        model: the landmarker's file.
    """

    folder: Path
    out: Path
    style: Style
    model: Path


_finder: FaceFinder | None = None
_stop: Event | None = None


def prepare(stop: Event) -> None:
    """Begin of a process: Ctrl-C reaches every process, and the first one tells the others by `stop`."""
    global _stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _stop = stop


def work(job: Job, records: Sequence[Record]) -> list[Result]:
    """Prepare a portion: pictures, or frames of one video in order. Ends early where all is to stop.

    Raises:
        MienError: what stops the work, such as a full disk.
    """
    global _finder
    if _finder is None:
        _finder = FaceFinder(job.model)
    results: list[Result] = []
    left: list[Record] = []
    for record in records:
        if PreparedFiles.of(job.out, record.name).complete():
            results.append(Result(record, Outcome.THERE))
        else:
            left.append(record)
    for record, frame, problem in _frames(job.folder, left):
        if _stop is not None and _stop.is_set():
            break
        results.append(Result(record, Outcome.UNREADABLE, problem) if frame is None else _made(job, record, frame))
    return results


def _made(job: Job, record: Record, frame: np.ndarray) -> Result:
    try:
        face = make_face(frame, record, _finder, job.style)
    except ValueError as error:  # what was found has no size
        return Result(record, Outcome.NO_FACE, str(error))
    if face is None:
        return Result(record, Outcome.NO_FACE)
    write_face(face, job.out, record.name, job.style)
    return Result(record, Outcome.MADE)


def _frames(folder: Path, records: Sequence[Record]) -> Iterator[tuple[Record, np.ndarray | None, str]]:
    """Each record with its picture, or with what is wrong with it."""
    if records and records[0].frame >= 0:
        yield from _of_video(folder, records)
        return
    for record in records:
        try:
            yield record, read_image(folder / record.picture).pixels, ""
        except MienError as error:
            if error.code not in _OF_THE_FILE:
                raise
            yield record, None, error.message


def _of_video(folder: Path, records: Sequence[Record]) -> Iterator[tuple[Record, np.ndarray | None, str]]:
    wanted = {record.frame: record for record in records}
    try:
        with open_clip(folder / records[0].picture) as clip:
            last = min(max(wanted), len(clip.info.times) - 1)
            for frame in clip.frames(min(wanted), last) if min(wanted) <= last else ():
                if frame.index in wanted:
                    yield wanted.pop(frame.index), frame.pixels, ""
        problem = "the video has no such frame, or it is damaged"
    except MienError as error:
        if error.code not in _OF_THE_FILE:
            raise
        problem = error.message
    for record in wanted.values():
        yield record, None, problem
