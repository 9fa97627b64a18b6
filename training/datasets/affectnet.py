# SPDX-License-Identifier: GPL-3.0-or-later
"""AffectNet (Mollahosseini et al. 2017): labelled photos from the web, with its own split or that of EmoNet.

    FOLDER/training.csv, validation.csv             as published
    FOLDER/training_emonet_split.csv, ...           the split of Toisoul et al. 2021, where the user has its files
    FOLDER/Manually_Annotated/Manually_Annotated_Images/SUB/FILE
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Literal

from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import file_error
from training.datasets.prepared import PREPARED, Prepared
from training.datasets.recorded import RecordedFaces
from training.datasets.records import Record, Records
from training.datasets.report import Findings, Reason

Split = Literal["train", "validation", "test"]
Source = Literal["published", "emonet", "emonet_clean"]

PICTURES = "Manually_Annotated/Manually_Annotated_Images"
_COLUMNS = ("subDirectory_filePath", "expression", "valence", "arousal")
_BOX = ("face_x", "face_y", "face_width", "face_height")
_NONE, _UNCERTAIN, _NO_FACE = 8, 9, 10
_UNKNOWN = -2.0
"""Valence and arousal of pictures that were not annotated."""
_FILES: dict[Split, str] = {"train": "training", "validation": "validation", "test": "test"}


def affectnet(
    folder: Path, split: Split, prepared: Path | None = None, source: Source = "published"
) -> RecordedFaces:
    """Faces of AffectNet.

    Pictures called Uncertain or without a face are left out, those called None too in EmoNet's split, and those
    without valence or arousal.

    Args:
        folder: with the csv files.
        split: the published set has no test pictures: its validation set is `test` too, also for EmoNet's split where
            that has no file for it.
        prepared: as `mien train prepare affectnet` wrote it; `folder`/prepared by default.
        source: whose csv files; `emonet_clean` takes `*_emonet_split_clean.csv` where there is one.

    Raises:
        MienError: MISSING_FILE, NOT_PERMITTED; BAD_MANIFEST for a csv with other columns.
    """
    findings = Findings()
    reader = Prepared(prepared or folder / PREPARED, "Run 'mien train prepare affectnet' first.")
    records = Records(affectnet_records(folder, split, findings, source))
    return RecordedFaces(f"AffectNet ({split}, {source})", records, reader, findings)


def affectnet_records(
    folder: Path, split: Split, findings: Findings, source: Source = "published"
) -> Iterator[Record]:
    """The records of a split; see `affectnet`. Who is seen is not known: each picture is a person's own."""
    path = _csv(folder, split, source)
    for number, row in enumerate(_rows(path), start=2):
        try:
            record = _record(row, like_emonet=source != "published")
        except (ValueError, TypeError) as error:
            findings.trouble(Reason.BAD_ROW, f"{path.name} line {number}", str(error))
            continue
        if isinstance(record, str):
            findings.filtered(record)
        else:
            yield replace(record, person=number)


def _csv(folder: Path, split: Split, source: Source) -> Path:
    names = [f"{_FILES[split]}_emonet_split.csv"] if source != "published" else []
    if source == "emonet_clean":
        names.insert(0, f"{_FILES[split]}_emonet_split_clean.csv")
    if split == "test" or source == "published":
        names.append("training.csv" if split == "train" else "validation.csv")
    for name in names:
        if (folder / name).exists():
            return folder / name
    message = f"{folder / names[-1]} is missing."
    if source == "published":
        remedy = "Give the folder of AffectNet in which its csv files lie."
    else:
        remedy = "EmoNet's split comes from its authors; without its files set source to published."
    raise MienError(ErrorCode.MISSING_FILE, message, remedy, {"path": str(folder / names[-1])})


def _rows(path: Path) -> Iterator[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8", errors="replace") as file:
            rows = csv.reader(file)
            names = [name.strip() for name in next(rows, [])]
            if missing := [name for name in _COLUMNS if name not in names]:
                message = f"{path} has no column {missing[0]}."
                raise MienError(ErrorCode.BAD_MANIFEST, message, "Use AffectNet's own csv file.", {"path": str(path)})
            for row in rows:
                yield dict(zip(names, row, strict=False))
    except OSError as error:
        raise file_error(path, error, "read") from error
    except csv.Error as error:
        message = f"{path} is damaged: {error}."
        raise MienError(ErrorCode.BAD_MANIFEST, message, "Use AffectNet's own csv file.") from error


def _record(row: dict[str, str], like_emonet: bool) -> Record | str:
    """The record of a row or, where it is to be left out, why.

    Raises:
        ValueError, TypeError: nonsense.
    """
    path, expression = row.get("subDirectory_filePath") or "", row.get("expression", "")
    place = PurePosixPath(path)
    if len(place.parts) < 2 or place.is_absolute() or ".." in place.parts:
        raise ValueError(f"{path!r} is no picture")
    if not expression.strip().isdecimal() or int(expression) > _NO_FACE:
        raise ValueError(f"expression {expression}")
    label = int(expression)
    valence, arousal = (_affect(name, row.get(name, "")) for name in ("valence", "arousal"))
    if label == _NO_FACE:
        return "no face"
    if label == _UNCERTAIN:
        return "uncertain"
    if label == _NONE and like_emonet:
        return "none of the emotions"
    if _UNKNOWN in (valence, arousal):
        return "without valence or arousal"
    name = str(place.with_suffix(""))
    label = -1 if label == _NONE else label
    return Record(name, f"{PICTURES}/{path}", label=label, valence=valence, arousal=arousal, box=_box(row))


def _affect(name: str, text: str) -> float:
    value = float(text)
    if not (-1 <= value <= 1 or value == _UNKNOWN):
        raise ValueError(f"{name} {text}")
    return value


def _box(row: dict[str, str]) -> tuple[float, float, float, float]:
    """Left, top, right, bottom; not numbers where the csv has none, as files of others may."""
    if any(name not in row for name in _BOX):
        return (math.nan,) * 4
    x, y, width, height = (float(row[name]) for name in _BOX)
    return x, y, x + width, y + height
