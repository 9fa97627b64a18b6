# SPDX-License-Identifier: GPL-3.0-or-later
"""What a batch leaves beside its shots: a table (`batch.csv`) and a page (`batch.html`), both made from the records."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from backend.outputs import TAKE
from blender_addon.contract.files import atomic_write
from blender_addon.contract.version import VERSION

from .naming import BATCH_CSV, BATCH_HTML
from .progress_file import Running
from .record import ShotRecord
from .shot import Shot

_COLUMNS = (
    *("name", "state", "quality", "reasons", "source", "frames", "people", "landmark_error", "confidence", "filled"),
    *("formats", "failures", "take", "report", "overlay", "folder", "seconds", "frames_per_second", "machine"),
    *("device", "ended"),
)
REFRESH_SECONDS = 10
"""How often the page reloads itself while the batch runs."""


@dataclass(frozen=True)
class Line:
    """A shot on the page.

    Attributes:
        shot: The shot.
        record: How it went; None where it has not ended.
        running: How far it is; None where it does not run.
        thumbnail: A picture as a `data:` address; empty where there is none.
    """

    shot: Shot
    record: ShotRecord | None
    running: Running | None = None
    thumbnail: str = ""

    @property
    def state(self) -> str:
        """In a word."""
        if self.running is not None:
            return "running"
        return self.record.state if self.record is not None else "waiting"

    @property
    def links(self) -> list[tuple[str, str]]:
        """Name and address of each file, from the batch's folder."""
        files = (self.record.files or {}) if self.record is not None else {}
        stem = f"{PurePosixPath(self.shot.name).name}."
        return [
            (name.removeprefix(stem), quote(f"{self.shot.name}/{name}", errors="surrogateescape"))
            for name in files
            if not name.endswith(".thumb.jpg")
        ]

    @property
    def pace(self) -> float | None:
        """Frames a second, all told; None for photos and for what failed."""
        record = self.record
        if record is None or not record.seconds or record.frames < 2:
            return None
        return record.frames / max(record.seconds["total"], 1e-9)


class BatchReport:
    """Writes the table and the page of a batch.

    Args:
        out: The batch's folder.
        shots: All shots.
    """

    def __init__(self, out: Path, shots: Sequence[Shot]) -> None:
        self._out = out
        self._shots = shots
        self._thumbnails: dict[tuple[str, str], str] = {}

    def write(self, records: Mapping[str, ShotRecord], running: Mapping[str, Running], over: bool) -> None:
        """Write both, each whole or not at all.

        Args:
            records: By the names of the shots that have ended.
            running: By the names of those that run.
            over: Whether the batch has ended; else the page says that it goes on, and reloads itself.

        Raises:
            MienError: NO_SPACE, NOT_PERMITTED, MISSING_FILE.
        """
        table = _table([_row(shot, records.get(shot.name)) for shot in self._shots])
        page = self._page([self._line(shot, records, running) for shot in self._shots], over)
        for name, text in ((BATCH_CSV, table), (BATCH_HTML, page)):
            content = text.encode(errors="backslashreplace")
            atomic_write(self._out / name, lambda file, content=content: file.write(content), durable=over)

    def _line(self, shot: Shot, records: Mapping[str, ShotRecord], running: Mapping[str, Running]) -> Line:
        record = records.get(shot.name)
        return Line(shot, record, running.get(shot.name), self._thumbnail(shot, record))

    def _thumbnail(self, shot: Shot, record: ShotRecord | None) -> str:
        name = next((name for name in (record and record.files) or () if name.endswith(".thumb.jpg")), None)
        if record is None or name is None:
            return ""
        key = shot.name, record.ended
        if key not in self._thumbnails:
            self._thumbnails[key] = ""
            with suppress(OSError):  # gone since: the page does without
                picture = (shot.folder(self._out) / name).read_bytes()
                self._thumbnails[key] = f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}"
        return self._thumbnails[key]

    def _page(self, lines: Sequence[Line], over: bool) -> str:
        ended = [line.record for line in lines if line.record is not None and line.running is None]
        return _template().render(
            lines=sorted(lines, key=_worst_first),
            counts={state: sum(line.state == state for line in lines) for state in _STATES},
            qualities={colour: sum(record.quality == colour for record in ended) for colour in _QUALITIES},
            frames=sum(record.frames for record in ended),
            machines=_machines(ended),
            over=over,
            refresh=REFRESH_SECONDS,
            version=VERSION,
            now=datetime.now().astimezone().isoformat(sep=" ", timespec="seconds"),
        )


_STATES = ("finished", "partial", "failed", "running", "waiting")
_QUALITIES = ("green", "amber", "red")


def _worst_first(line: Line) -> tuple[int, int]:
    """What needs looking at comes first; otherwise the batch's order stays."""
    if line.record is None or line.running is not None:
        return (0 if line.running is not None else 4, 0)
    return (3 - _QUALITIES.index(line.record.quality), 0)


def _machines(records: Sequence[ShotRecord]) -> list[tuple[str, int, float]]:
    """Name, shots and seconds of each machine."""
    names = sorted({record.machine for record in records})
    return [
        (
            name,
            sum(record.machine == name for record in records),
            sum((record.seconds or {}).get("total", 0.0) for record in records if record.machine == name),
        )
        for name in names
    ]


def _row(shot: Shot, record: ShotRecord | None) -> dict[str, object]:
    """The shot as a row of the table; of several people the worst of each number."""
    row: dict[str, object] = {"name": shot.name, "state": "waiting", "source": shot.options.source}
    row |= {"formats": " ".join(shot.formats), "folder": shot.name}
    if record is None:
        return row
    people, pace = record.people, Line(shot, record).pace
    files = list(record.files or ())
    row |= {
        "state": record.state,
        "quality": record.quality,
        "reasons": " ".join(record.reasons),
        "frames": record.frames,
        "people": len(people),
        "failures": " ".join(f"{failure.what}:{failure.code}" for failure in record.failures),
        "seconds": round((record.seconds or {}).get("total", 0.0), 2),
        "frames_per_second": "" if pace is None else round(pace, 2),
        "machine": record.machine,
        "device": record.device,
        "ended": record.ended,
    }
    if people:
        row |= {
            "landmark_error": max(person.landmark_error for person in people),
            "confidence": min(person.confidence for person in people),
            "filled": max(person.filled for person in people),
        }
    for column, end in (("take", TAKE), ("report", ".report.json"), ("overlay", ".overlay")):
        name = next((name for name in files if end in name), None)
        row[column] = f"{shot.name}/{name}" if name else ""
    return row


def _table(rows: Sequence[Mapping[str, object]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


@cache
def _template() -> Template:
    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters["duration"] = _duration
    return environment.get_template("batch.html.j2")


def _duration(seconds: float) -> str:
    """As a person says it."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
