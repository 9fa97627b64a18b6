# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of a shot: a file beside its results that says what they were made from and how it went."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal

from backend.outputs import write_json
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import file_error
from blender_addon.contract.version import VERSION

from .manifest import HEAD_IDS
from .quality import Quality
from .shot import Shot
from .stamp import stamp, unchanged

RECORD = "shot.json"
"""Name of the file in the shot's folder."""
SCHEMA = 1

State = Literal["finished", "partial", "failed"]
"""All done; captured, but a format could not be written; not captured."""


@dataclass(frozen=True)
class Person:
    """How well one person was captured.

    Attributes:
        number: Which person.
        landmark_error: Mean distance of the fitted landmarks as a fraction of the eye distance.
        confidence: Mean confidence, 0 to 1.
        filled: Share of the frames that were filled in, 0 to 1.
    """

    number: int
    landmark_error: float
    confidence: float
    filled: float


@dataclass(frozen=True)
class Failure:
    """Something that could not be done.

    Attributes:
        what: "capture", or the name of a format.
        code, message, remedy: Of the error.
    """

    what: str
    code: str
    message: str
    remedy: str

    @classmethod
    def of(cls, what: str, error: MienError) -> Failure:
        """What is told of an error."""
        return cls(what, error.code.value, error.message, error.remedy)

    def __str__(self) -> str:
        format_ = f"{self.what}: " if self.what != "capture" else ""
        return f"{format_}{self.message} {self.remedy}"


@dataclass(frozen=True)
class ShotRecord:
    """How a shot went.

    Attributes:
        name: The shot's.
        source: What was captured.
        state: See `State`.
        quality: Of the takes, and of what was asked for.
        reasons: Why it is not green, in sentences.
        made_from: What the results depend on; see `made_from`.
        people: How well each was captured.
        frames: How many frames, 1 for a photo, 0 where it was not captured.
        doubts: Sentences about what may be wrong.
        notes: What Blender had to say of the scenes; no fault of the capture.
        failures: What could not be done.
        files: Size in bytes of each file, by its name in the shot's folder.
        seconds: How long each stage took.
        machine: Which did it.
        device: What computed.
        ended: When, as ISO 8601 in UTC.
    """

    name: str
    source: str
    state: State
    quality: Quality
    reasons: tuple[str, ...]
    made_from: Mapping[str, object]
    people: tuple[Person, ...] = ()
    frames: int = 0
    doubts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()
    files: Mapping[str, int] | None = None
    seconds: Mapping[str, float] | None = None
    machine: str = ""
    device: str = ""
    ended: str = ""

    def to_json(self) -> dict[str, object]:
        """JSON-able values by name."""
        return {"schema": SCHEMA} | asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> ShotRecord:
        """Inverse of `to_json`.

        Raises:
            TypeError, KeyError, ValueError: They are not a record's.
        """
        rest = {item.name: values[item.name] for item in fields(cls)}
        if values["schema"] != SCHEMA or rest["state"] not in ("finished", "partial", "failed"):
            raise ValueError("of another version")
        rest["people"] = tuple(Person(**person) for person in rest["people"])
        rest["failures"] = tuple(Failure(**failure) for failure in rest["failures"])
        return cls(**rest | {name: tuple(rest[name]) for name in ("reasons", "doubts", "notes")})


def write_record(folder: Path, record: ShotRecord) -> None:
    """Write a record into a shot's folder.

    Raises:
        MienError: NO_SPACE, NOT_PERMITTED, MISSING_FILE.
    """
    write_json(folder / RECORD, record.to_json())


def read_record(folder: Path) -> ShotRecord | None:
    """The record in a shot's folder; None where there is none that can be read: the shot is then done anew."""
    try:
        return ShotRecord.from_json(json.loads((folder / RECORD).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def remove_record(folder: Path) -> None:
    """Take back what a record says, before its results are replaced.

    Raises:
        MienError: NOT_PERMITTED.
    """
    try:
        (folder / RECORD).unlink(missing_ok=True)
    except OSError as error:
        raise file_error(folder / RECORD, error, "removed") from error


def made_from(shot: Shot, timing: str) -> dict[str, object]:
    """What a shot's results depend on.

    The device and the number of threads are not among it: a farm's machines differ in them.

    Raises:
        MienError: See `stamp`.
    """
    return _asked(shot, timing) | {"stamps": {name: stamp(path) for name, path in _inputs(shot).items()}}


def why_again(record: ShotRecord | None, shot: Shot, timing: str, folder: Path) -> str | None:
    """Why a shot has to be done (again), as a phrase; None where it is finished and nothing has changed."""
    if record is None:
        return "not done yet"
    if record.state != "finished":
        return "it failed" if record.state == "failed" else "a format could not be written"
    before, now = record.made_from, _asked(shot, timing)
    if before.get("mien") != VERSION:
        return f"it was done by Mien {before.get('mien')}"
    if changed := _changed(before.get("options"), now["options"]):
        return f"another {' and '.join(changed)} is asked for"
    for name in ("formats", "timing"):
        if before.get(name) != now[name]:
            return f"other {name} are asked for" if name == "formats" else "another timing is asked for"
    if missing := [name for name, size in (record.files or {}).items() if _size(folder / name) != size]:
        return f"{missing[0]} is missing or changed"
    return _input_changed(shot, before.get("stamps"))


def files_in(folder: Path, paths: Sequence[Path]) -> dict[str, int]:
    """Sizes of files of a shot, and of those in folders of it, by their names in its folder.

    Raises:
        MienError: One is not there.
    """
    try:
        inside = [path for given in paths for path in (sorted(given.iterdir()) if given.is_dir() else [given])]
        return {path.relative_to(folder).as_posix(): path.stat().st_size for path in inside}
    except OSError as error:
        raise file_error(error.filename, error, "read") from error


def _asked(shot: Shot, timing: str) -> dict[str, object]:
    options = shot.options.to_json()
    del options["device"]
    return {"mien": VERSION, "options": options, "formats": list(shot.formats), "timing": timing}


def _inputs(shot: Shot) -> dict[str, Path]:
    inputs = {"source": Path(shot.options.source)}
    if shot.options.head not in HEAD_IDS:
        inputs["head"] = Path(shot.options.head)
    return inputs


def _changed(before: object, now: object) -> list[str]:
    if not isinstance(before, Mapping) or not isinstance(now, Mapping):
        return ["setting"]
    names = sorted({name for name in {*before, *now} if before.get(name) != now.get(name)})
    return [str(name).replace("_", " ").removesuffix(" mm") for name in names]


def _input_changed(shot: Shot, stamps: object) -> str | None:
    if not isinstance(stamps, Mapping):
        return "its record is damaged"
    for name, path in _inputs(shot).items():
        try:
            if not unchanged(path, stamps.get(name, {})):
                return f"its {name} has changed"
        except MienError as error:
            if error.code is not ErrorCode.MISSING_FILE:
                return f"its {name} cannot be read"
            # Put away since: what was made from it stays good, and nothing better could be made now.
    return None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1
