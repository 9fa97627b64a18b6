# SPDX-License-Identifier: GPL-3.0-or-later
"""`study.json`: a study on disk, checked as a whole when it is read."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path

from backend.outputs import write_json
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import file_error
from blender_addon.contract.models import EMOTIONS

from .design import EQUAL, NEITHER, PICTURES, TASKS, Item, Picture, Rule, Study, Task

STUDY = "study.json"
_SCHEMA = 1
_LARGEST_BYTES = 64 << 20
_REMEDY = "Make it again with 'mien train study make', or mend it: docs/perception-study.md describes it."


def write_study(folder: Path, study: Study) -> Path:
    """Write `study.json`.

    Raises:
        MienError: NO_SPACE, NOT_PERMITTED, MISSING_FILE.
    """
    path = folder / STUDY
    values = asdict(study)
    values["items"] = [_lean(item) for item in values["items"]]
    write_json(path, {"schema": _SCHEMA} | values | {"labels": dict(study.labels)})
    return path


def read_study(folder: Path) -> Study:
    """Read and check `study.json`, and that its pictures are files within the folder.

    Raises:
        MienError: MISSING_FILE, NOT_PERMITTED; BAD_STUDY, saying what is wrong.
    """
    path = folder / STUDY
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_BYTES + 1)
    except OSError as error:
        raise file_error(path, error, "read") from error
    try:
        if len(content) > _LARGEST_BYTES:
            raise ValueError(f"it is larger than {_LARGEST_BYTES >> 20} MB")
        study = _study(json.loads(content))
        _check(study)
    except (ValueError, TypeError, RecursionError) as error:
        raise bad(path, str(error)) from error
    for item in study.items:
        for picture in item.pictures:
            picture_file(folder, picture)
    return study


def picture_file(folder: Path, picture: Picture) -> Path:
    """The file of a picture, links resolved.

    Raises:
        MienError: BAD_STUDY where it lies outside the study's folder; MISSING_FILE where it is gone.
    """
    home = os.path.realpath(folder)
    path = os.path.realpath(os.path.join(home, picture.path))
    if not Path(path).is_relative_to(home):
        raise bad(folder / STUDY, f"the picture {picture.path} lies outside its folder")
    if not os.path.isfile(path):
        message = f"{folder / picture.path} is missing, and {STUDY} shows it."
        remedy = f"Put it back, or remove {STUDY} and make the study again."
        raise MienError(ErrorCode.MISSING_FILE, message, remedy, {"path": path})
    return Path(path)


def bad(path: Path, reason: str, remedy: str = _REMEDY) -> MienError:
    """The error for a file of a study that is not as it should be."""
    return MienError(ErrorCode.BAD_STUDY, f"{path} cannot be used: {reason}.", remedy, {"path": str(path)})


def _lean(item: Mapping[str, object]) -> dict[str, object]:
    """An item without what is empty."""
    return {name: value for name, value in item.items() if value or name == "pictures"}


def _study(values: object) -> Study:
    entry = partial(_entry, _table(values, "the file"))
    if entry("schema", int) != _SCHEMA:
        raise ValueError(f"its schema is not {_SCHEMA}")
    rule = partial(_entry, entry("rule", dict))
    return Study(
        title=entry("title", str),
        seed=entry("seed", int),
        tasks=tuple(_task(task) for task in entry("tasks", list)),
        items=tuple(_item(item) for item in entry("items", list)),
        labels=_labels(entry("labels", dict)),
        scale=_texts(entry("scale", list), "scale"),
        rule=Rule(float(rule("passed", (int, float))), float(rule("seconds", (int, float)))),
    )


def _task(values: object) -> Task:
    entry = partial(_entry, _table(values, "a task"))
    each = entry("per_participant", (int, type(None)), None)
    if each is not None and each < 1:
        raise ValueError("'per_participant' is not a number from 1")
    once, intensity = entry("faces_once", bool, False), entry("intensity", bool, False)
    return Task(entry("name", str), each, once, intensity)  # type: ignore[arg-type]  # its name is checked with the rest


def _item(values: object) -> Item:
    entry = partial(_entry, _table(values, "an item"))
    pictures = [partial(_entry, _table(picture, "a picture")) for picture in entry("pictures", list)]
    return Item(
        id=entry("id", str),
        task=entry("task", str),  # type: ignore[arg-type]  # checked with the rest
        face=entry("face", str, ""),
        pictures=tuple(Picture(picture("source", str), picture("path", str)) for picture in pictures),
        instruction=entry("instruction", str, ""),
        accept=_texts(entry("accept", list, []), "accept"),
    )


def _check(study: Study) -> None:
    if study.seed < 0:
        raise ValueError(f"its seed is {study.seed}, not a number from 0")
    names = [task.name for task in study.tasks]
    if not names or any(name not in TASKS for name in names) or len(set(names)) < len(names):
        raise ValueError(f"its tasks are not some of {', '.join(TASKS)}")
    if not 2 <= len(study.scale) <= 9:
        raise ValueError("its scale has not 2 to 9 steps")
    if not 0 <= study.rule.passed <= 1 or not study.rule.seconds >= 0:
        raise ValueError("its rule is not a share of samples and a number of seconds")
    twice = [name for name, count in Counter(item.id for item in study.items).items() if count > 1]
    if twice:
        raise ValueError(f"the item {twice[0]} is there twice")
    for item in study.items:
        _check_item(study, item, names)
    for name in names:
        if not study.of_task(name):
            raise ValueError(f"the task {name} has no items")


def _check_item(study: Study, item: Item, tasks: list[str]) -> None:
    if item.task not in tasks:
        raise ValueError(f"the item {item.id} is of the task {item.task}, which is not asked")
    shown = 0 if item.instruction else PICTURES[item.task]
    if len(item.pictures) != shown:
        raise ValueError(f"the item {item.id} has {len(item.pictures)} pictures, not {shown}")
    if item.instruction and not item.sample:
        raise ValueError(f"the item {item.id} is an instruction without an accepted answer")
    if not "".join((item.id, item.face, *(picture.source + picture.path for picture in item.pictures))).isprintable():
        raise ValueError(f"the item {item.id!r} has control characters in its names")
    if item.task == "comparison" and len({*item.candidates, EQUAL, NEITHER}) < 4 and not item.instruction:
        raise ValueError(f"the item {item.id} does not compare two different sources")
    if wrong := set(item.accept) - set(study.choices(item)):
        raise ValueError(f"the item {item.id} accepts {min(wrong)!r}, which nobody can answer")


def _labels(values: Mapping[str, object]) -> dict[str, str]:
    for face, label in values.items():
        if label not in EMOTIONS:
            raise ValueError(f"the label of {face} is {label!r}, none of {', '.join(EMOTIONS)}")
    return dict(values)  # type: ignore[arg-type]  # just checked


def _texts(values: list[object], name: str) -> tuple[str, ...]:
    if not all(isinstance(value, str) for value in values):
        raise ValueError(f"'{name}' is not a list of texts")
    return tuple(values)  # type: ignore[arg-type]  # just checked


def _table(values: object, what: str) -> Mapping[str, object]:
    if not isinstance(values, dict):
        raise ValueError(f"{what} is not a table")
    return values


_REQUIRED = object()


def _entry(
    table: Mapping[str, object], name: str, kind: type | tuple[type, ...] | Callable, default: object = _REQUIRED
):
    """A value of a table of the type that it has to have."""
    value = table.get(name, default)
    if value is _REQUIRED:
        raise ValueError(f"'{name}' is missing")
    kinds = kind if isinstance(kind, tuple) else (kind,)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise ValueError(f"'{name}' is {value!r:.40}, which is of the wrong type")
    return value
