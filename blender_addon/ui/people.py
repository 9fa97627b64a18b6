# SPDX-License-Identifier: GPL-3.0-or-later
"""Who was found in a source, known after a first capture of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..client.events import CaptureFinished
from ..contract.errors import MienError
from .request import Request


@dataclass(frozen=True)
class People:
    """Faces of a photo, or people of a clip.

    Attributes:
        source: Path of the photo or clip.
        frames: In how many frames each is seen, the most prominent first; 0 where nothing says.
        sheet: Picture with all of them, numbered; empty where there is none on this computer.
    """

    source: str
    frames: tuple[int, ...]
    sheet: str = ""

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.frames)


def people_of(request: Request, event: CaptureFinished) -> People | None:
    """Who a finished capture found; None in a live one."""
    if request.options.live:
        return None
    report = event.report
    return _people(request, report, len(event.takes))


def people_of_error(request: Request, error: MienError) -> People | None:
    """Who there is instead, where the one that was asked for is not; None where the error does not say."""
    if not (error.details.get("people") or error.details.get("found")):
        return None
    return _people(request, error.details, 0)


def _people(request: Request, told: Any, least: int) -> People:
    people, found = told.get("people"), told.get("found")
    if isinstance(people, list):
        frames = tuple(_frames(item) for item in people)
    else:  # errors tell a number
        frames = (0,) * next((_count(item) for item in (people, found) if _count(item)), least)
    sheet = told.get("contact_sheet")
    there = isinstance(sheet, str) and Path(sheet).is_file()  # not when another computer wrote it
    return People(request.options.source, frames, sheet if there else "")


def _count(told: object) -> int:
    return len(told) if isinstance(told, list) else told if isinstance(told, int) else 0


def _frames(person: object) -> int:
    frames = person.get("frames") if isinstance(person, dict) else 0
    return frames if isinstance(frames, int) else 0
