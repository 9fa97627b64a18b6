# SPDX-License-Identifier: GPL-3.0-or-later
"""What a batch is to do: its shots, which of them are this machine's, and which are done already."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from blender_addon.contract.errors import ErrorCode, MienError

from .discover import find_sources
from .manifest import read_manifest
from .naming import default_name, numbered_apart, told_apart
from .record import read_record, why_again
from .shot import Shot


@dataclass(frozen=True)
class Shard:
    """A share of a batch.

    Attributes:
        number: Which one, from 1.
        count: How many there are.
    """

    number: int = 1
    count: int = 1

    def of(self, shots: Sequence[Shot]) -> list[Shot]:
        """This share of the shots: every `count`-th, so that each machine finds the same by itself."""
        return list(shots[self.number - 1 :: self.count])


@dataclass(frozen=True)
class Plan:
    """What is to be done.

    Attributes:
        out: Folder of all results.
        shots: All shots of the batch, also those of other shards.
        todo: Those that are to be done here, in order.
        reasons: Why each of `todo` is, by its name.
        known: When each of `todo` ended the last time, by its name; see `Task`.
        finished: How many of this shard are done already.
    """

    out: Path
    shots: tuple[Shot, ...]
    todo: tuple[Shot, ...]
    reasons: dict[str, str]
    known: dict[str, str]
    finished: int


def shots_of_folder(folder: Path, out: Path, common: Shot) -> list[Shot]:
    """A shot for each photo, clip and sequence in a folder.

    Raises:
        MienError: USAGE where the folder holds nothing or lies in the results'; see `find_sources`.
    """
    folder = Path(os.path.abspath(folder))
    _refuse_inside(folder, out)
    sources = find_sources(folder, out)
    names = numbered_apart(told_apart([default_name(source, folder) for source in sources], sources))
    made = []
    for name, source in zip(names, sources, strict=True):
        made.append(replace(common, name=name, options=replace(common.options, source=str(source))))
    return made


def shots_of_manifest(path: Path, out: Path, common: Shot) -> list[Shot]:
    """The shots of a manifest.

    Raises:
        MienError: See `read_manifest`; USAGE for a source that lies in the results' folder.
    """
    shots = read_manifest(path, common)
    for shot in shots:
        _refuse_inside(Path(shot.options.source), out)
    return shots


def make_plan(shots: Sequence[Shot], out: Path, shard: Shard, timing: str, again: bool) -> Plan:
    """Find out what is left to do.

    Args:
        shots: All of the batch.
        out: Folder of the results.
        shard: Which of them are this machine's.
        timing: See `Task`.
        again: Do also what is finished.
    """
    reasons: dict[str, str] = {}
    known: dict[str, str] = {}
    own = shard.of(shots)
    for shot in own:
        folder = shot.folder(out)
        record = read_record(folder)
        reason = "asked for" if again else why_again(record, shot, timing, folder)
        if reason is not None:
            reasons[shot.name] = reason
            known[shot.name] = record.ended if record is not None else ""
    todo = tuple(shot for shot in own if shot.name in reasons)
    return Plan(out, tuple(shots), todo, reasons, known, len(own) - len(todo))


def _refuse_inside(source: Path, out: Path) -> None:
    """Refuse sources among the results, which a second run would take for shots.

    Raises:
        MienError: USAGE.
    """
    real, place = os.path.realpath(source), os.path.realpath(out)
    if real == place or real.startswith(os.path.join(place, "")):
        message = f"{source} lies in {out}, where the results go."
        raise MienError(ErrorCode.USAGE, message, "Choose another folder for the results with --out.")
