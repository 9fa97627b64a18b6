# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes on their way to other programs' formats, which the backend writes and sends back as bytes."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import partial

from ..contract.errors import ErrorCode, MienError
from ..contract.messages import Exported, ExportTake, Formats, ListFormats, Reply
from ..contract.take import Take
from .connection import Connection
from .events import Event, ExportFailed, FormatsListed, TakeExported

_NEVER = float("inf")


class TakeExports:
    """Asks for exports until their files are there.

    Args:
        tell: Called with what came of it.
    """

    def __init__(self, tell: Callable[[Event], None]) -> None:
        self._tell = tell
        self._wanted: dict[str, ExportTake] = {}
        self._due: dict[str, float] = {}
        self._formats_due = _NEVER
        self._now = 0.0

    @property
    def waiting(self) -> bool:
        """Whether any is under way."""
        return bool(self._wanted)

    def list_formats(self) -> None:
        """Ask for the formats; FormatsListed follows."""
        self._formats_due = 0.0

    def export(self, take: Take, name: str, stem: str) -> str:
        """Ask for a take in a format; TakeExported or ExportFailed follows.

        Returns:
            Id of the export.

        Raises:
            MienError: BAD_MESSAGE for a stem that is no file name.
        """
        export = uuid.uuid4().hex
        self._wanted[export], self._due[export] = ExportTake(export, take, name, stem), 0.0
        return export

    def cancel(self, export: str) -> None:
        """Wait for it no longer."""
        self._wanted.pop(export, None)
        self._due.pop(export, None)

    def step(self, link: Connection, now: float) -> None:
        """Send what is due."""
        self._now = now
        if now >= self._formats_due:
            self._formats_due = _NEVER
            link.send(ListFormats(), now, self._on_formats)
        for export, due in list(self._due.items()):
            if now < due:
                continue
            self._due[export] = _NEVER  # until its reply is there
            try:
                link.send(self._wanted[export], now, partial(self._on_reply, export))
            except MienError as error:  # an array of a very long take
                self._fail(export, error)

    def ask_again(self) -> None:
        """The backend is started anew: what it has not answered is asked again."""
        self._due = dict.fromkeys(self._wanted, 0.0)

    def give_up(self, error: MienError) -> None:
        """There is no backend any more."""
        self._formats_due = _NEVER
        for export in list(self._wanted):
            self._fail(export, error)

    def _on_formats(self, reply: Reply | MienError) -> None:
        if isinstance(reply, Formats):
            self._tell(FormatsListed(reply.formats))

    def _on_reply(self, export: str, reply: Reply | MienError) -> None:
        if export not in self._wanted:
            return  # cancelled
        if isinstance(reply, MienError):
            self._fail(export, reply)
        elif isinstance(reply, Exported):
            if reply.files is None:
                self._due[export] = self._now
                return
            stem = self._wanted[export].stem
            self.cancel(export)
            if all(file.path.startswith(stem) for file in reply.files):
                self._tell(TakeExported(export, reply.files))
            else:
                message = f"The backend sent other files than '{stem}'."
                remedy = "Install the same version of Mien for both."
                self._tell(ExportFailed(export, MienError(ErrorCode.BAD_MESSAGE, message, remedy)))

    def _fail(self, export: str, error: MienError) -> None:
        self.cancel(export)
        self._tell(ExportFailed(export, error))
