# SPDX-License-Identifier: GPL-3.0-or-later
"""AFEW-VA (Kossaifi et al. 2017): 600 clips of films, valence and arousal in every frame.

    FOLDER/001/00000.png, ...       possibly one folder deeper (01/001/...)
    FOLDER/001/001.json             {"frames": {"00000": {"landmarks": [68 x [x, y]], "valence": , "arousal": }}}
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from blender_addon.contract.errors import ErrorCode, MienError
from training.datasets.files import BadItem, checked_landmarks
from training.datasets.prepared import PREPARED, Prepared
from training.datasets.recorded import RecordedFaces
from training.datasets.records import Record, Records
from training.datasets.report import Findings, Reason
from training.folds import FOLDS, dealt_folds

_HIGHEST = 10.0
"""Of the annotations, which go from -10 to 10."""


def afew_va(
    folder: Path, split: Literal["train", "test", "all"] = "all", fold: int = 0, seed: int = 0,
    prepared: Path | None = None,
) -> RecordedFaces:  # fmt: skip
    """Faces of AFEW-VA, for cross validation.

    No official folds are published. Ours put whole clips, and where the annotations name the actor all clips of one
    actor, into one fold, so that nobody is trained and tested on; folds have about equally many frames.

    Args:
        folder: of the dataset.
        split: `test` is the fold, `train` the other four, `all` everything.
        fold: 0 to 4.
        seed: of the assignment.
        prepared: as `mien train prepare afew_va` wrote it; `folder`/prepared by default.

    Raises:
        MienError: USAGE for another fold; MISSING_FILE.
    """
    if not 0 <= fold < FOLDS:
        raise MienError(ErrorCode.USAGE, f"AFEW-VA has no fold {fold}.", f"Give one of 0 to {FOLDS - 1}.")
    findings = Findings()
    reader = Prepared(prepared or folder / PREPARED, "Run 'mien train prepare afew_va' first.")
    records = list(afew_va_records(folder, findings))
    if split != "all":
        kept = ((dealt_folds([record.person for record in records], seed) == fold) == (split == "test")).tolist()
        findings.filtered("in other folds", len(kept) - sum(kept))
        records = [record for record, keep in zip(records, kept, strict=True) if keep]
    title = "AFEW-VA" if split == "all" else f"AFEW-VA ({split} of fold {fold})"
    return RecordedFaces(title, Records(records), reader, findings)


def afew_va_records(folder: Path, findings: Findings) -> Iterator[Record]:
    """A record of every annotated frame; `person` numbers the actors, or the clips where they are not named.

    Raises:
        MienError: MISSING_FILE where the folder holds no clip.
    """
    named = (path for path in folder.glob("**/*.json") if path.stem == path.parent.name)
    annotations = sorted(path for path in named if path.stem != PREPARED)  # which has a prepared.json of its own
    if not annotations:
        message = f"{folder} holds no clips of AFEW-VA (001/001.json, ...)."
        raise MienError(ErrorCode.MISSING_FILE, message, "Unpack its archives there.", {"path": str(folder)})
    people: dict[str, int] = {}
    for path in annotations:
        clip = path.parent.relative_to(folder).as_posix()
        try:
            content = json.loads(path.read_bytes())
            frames = dict(content["frames"])
            who = str(content.get("actor") or f"clip {clip}")
        except (OSError, ValueError, TypeError, KeyError) as error:
            findings.trouble(Reason.BAD_LABELS, f"{clip}/{path.name}", type(error).__name__)
            continue
        person = people.setdefault(who, len(people))
        yield from _frames(clip, frames, person, findings)


def _frames(clip: str, frames: Mapping[str, object], person: int, findings: Findings) -> Iterator[Record]:
    for number, frame in sorted(frames.items()):
        name = f"{clip}/{number}"
        try:
            if not number.isdecimal() or not isinstance(frame, Mapping):
                raise ValueError(f"frame {number!r}")
            record = Record(name, f"{name}.png", person=person, box=_box(frame.get("landmarks")))
            yield replace(record, **{key: _affect(key, frame.get(key)) for key in ("valence", "arousal")})
        except (ValueError, TypeError) as error:
            findings.trouble(Reason.BAD_ROW, name, str(error))
        except BadItem as bad:
            findings.trouble(bad.reason, name, bad.detail)


def _affect(key: str, value: object) -> float:
    number = float(value)  # type: ignore[arg-type]  # TypeError is told as well
    if not abs(number) <= _HIGHEST or math.isnan(number):
        raise ValueError(f"{key} {value}")
    return number / _HIGHEST


def _box(landmarks: object) -> tuple[float, float, float, float]:
    """Around the landmarks of the annotation, by which the face is found among others."""
    try:
        points = checked_landmarks(landmarks, 68)
    except ValueError as error:  # rows of different length
        raise BadItem(Reason.BAD_LANDMARKS, str(error)) from error
    return (*points.min(0).tolist(), *points.max(0).tolist())
