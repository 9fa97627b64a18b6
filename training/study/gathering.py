# SPDX-License-Identifier: GPL-3.0-or-later
"""What a study's folder holds: `photos/NAME.*`, `renders/METHOD/NAME.*` and, if wanted, `labels.csv`."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import file_error
from blender_addon.contract.models import EMOTIONS

from .design import EQUAL, NEITHER, PHOTO

PHOTOS, RENDERS, LABELS = "photos", "renders", "labels.csv"
FORMATS = (".jpg", ".jpeg", ".png", ".webp")
"""Pictures that every browser shows."""
_RESERVED = (PHOTO, EQUAL, NEITHER)
_SHOWN = 5


@dataclass(frozen=True)
class Gathered:
    """Pictures by the names of the faces.

    Attributes:
        photos: Path of each face's photo, relative to the folder.
        renders: The same of each method's renders; only of faces that have a photo.
        labels: Emotion of faces, where known.
        problems: What was left out, and why.
    """

    photos: Mapping[str, str]
    renders: Mapping[str, Mapping[str, str]]
    labels: Mapping[str, str]
    problems: tuple[str, ...]

    def missing(self, method: str) -> list[str]:
        """Faces that have a photo and no render by a method."""
        return [face for face in self.photos if face not in self.renders[method]]


def gather(folder: Path, labels: Path | None = None) -> Gathered:
    """Find the pictures of a study. Those that cannot be read are left out and told.

    Args:
        folder: The study's.
        labels: Table of emotions; `labels.csv` in the folder by default, where it is there.

    Raises:
        MienError: MISSING_FILE, NOT_PERMITTED; BAD_STUDY without a photo or a method, for a method with a name that
            answers have, and for lines of the labels that are wrong.
    """
    problems: list[str] = []
    photos = _pictures(folder, folder / PHOTOS, problems)
    if not photos:
        message = f"{folder / PHOTOS} holds no photo that browsers show ({', '.join(FORMATS)})."
        raise MienError(ErrorCode.BAD_STUDY, message, f"Put the photos into {PHOTOS} and their renders into {RENDERS}.")
    renders = {method.name: _pictures(folder, method, problems) for method in _methods(folder)}
    for method, pictures in renders.items():
        lonely = [face for face in pictures if face not in photos]
        if lonely:
            problems.append(f"{some(len(lonely), 'render')} of {method} without a photo: {named(lonely)}")
        renders[method] = {face: path for face, path in pictures.items() if face in photos}
    own = folder / LABELS
    table = labels or (own if own.is_file() else None)
    known = read_labels(table) if table is not None else {}
    if strange := [face for face in known if face not in photos]:
        problems.append(f"{some(len(strange), 'label')} without a photo: {named(strange)}")
    return Gathered(photos, renders, {face: known[face] for face in photos if face in known}, tuple(problems))


def read_labels(path: Path) -> dict[str, str]:
    """Emotions of faces from a table with the columns `name` and `label`: words of `EMOTIONS`, or AffectNet's 0 to 7.

    Raises:
        MienError: MISSING_FILE, NOT_PERMITTED; BAD_STUDY, naming the lines that are wrong.
    """
    labels: dict[str, str] = {}
    wrong: list[str] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if not {"name", "label"} <= set(reader.fieldnames or ()):
                wrong.append("the first line does not name the columns 'name' and 'label'")
            for row in reader if not wrong else ():
                name, label = (row["name"] or "").strip(), _emotion((row["label"] or "").strip().lower())
                if not name or label is None or name in labels:
                    wrong.append(f"line {reader.line_num} is not a new name with one of {', '.join(EMOTIONS)}")
                labels[name] = label or ""
    except OSError as error:
        raise file_error(path, error, "read") from error
    except (UnicodeDecodeError, csv.Error) as error:
        wrong.append("it is not a table in UTF-8")
        cause: Exception | None = error
    else:
        cause = None
    if wrong:
        more = f", and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        message = f"{path} cannot be used: {'; '.join(wrong[:_SHOWN])}{more}."
        raise MienError(ErrorCode.BAD_STUDY, message, "Mend these lines.", {"path": str(path)}) from cause
    return labels


def some(count: int, what: str) -> str:
    """A number of things in words."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def named(names: list[str]) -> str:
    """Some names of a list, and how many more there are."""
    return ", ".join(names[:_SHOWN]) + (f", and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _emotion(text: str) -> str | None:
    if text.isdecimal() and int(text) < len(EMOTIONS):
        return EMOTIONS[int(text)]
    return text if text in EMOTIONS else None


def _methods(folder: Path) -> list[Path]:
    methods = [path for path in _listed(folder / RENDERS) if path.is_dir() and not path.name.startswith(".")]
    if not methods:
        message = f"{folder / RENDERS} holds no folder with the renders of a method."
        raise MienError(ErrorCode.BAD_STUDY, message, f"Put them into {RENDERS}/METHOD, named as the photos.")
    for method in methods:
        if method.name in _RESERVED or not method.name.isprintable():
            message = f"A method cannot have the name {method.name!r}, which answers have."
            raise MienError(ErrorCode.BAD_STUDY, message, f"Rename the folder {method}.")
    return methods


def _pictures(folder: Path, place: Path, problems: list[str]) -> dict[str, str]:
    """Path of each picture by its name without the ending."""
    found: dict[str, str] = {}
    for path in _listed(place):
        told = path.relative_to(folder).as_posix()
        if path.is_dir() or path.name.startswith("."):
            continue
        if path.suffix.lower() not in FORMATS:
            problems.append(f"{told}: not a picture that every browser shows")
        elif not told.isprintable():
            problems.append(f"{told!r}: control characters in its name")
        elif path.stem in found:
            problems.append(f"{told}: there is {found[path.stem]} already")
        elif not _readable(path):
            problems.append(f"{told}: damaged, or not a picture")
        else:
            found[path.stem] = told
    return found


def _readable(path: Path) -> bool:
    try:
        with Image.open(path) as picture:
            picture.load()
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError):
        return False
    return True


def _listed(folder: Path) -> Iterator[Path]:
    try:
        return iter(sorted(folder / name for name in os.listdir(folder)))
    except OSError as error:
        raise file_error(folder, error, "read") from error
