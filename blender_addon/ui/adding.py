# SPDX-License-Identifier: GPL-3.0-or-later
"""Model files that the user brings, while the backend takes them over."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..client.events import AddingFailed, AddingGoesOn, Event, FilesAdded
from ..client.jobs import Client
from ..contract.errors import MienError
from .tell import tell


class Adding:
    """What is being added, and what came of it.

    Attributes:
        done: How much is done, 0 to 1.
        message: A phrase about it.
        news: What was added last, a sentence each.
        problem: Why the last files could not be added.
    """

    def __init__(self) -> None:
        self._running = ""
        self._what = ""
        self.done = 0.0
        self.message = ""
        self.news: tuple[str, ...] = ()
        self.problem: MienError | None = None

    @property
    def running(self) -> bool:
        """Whether files are being added."""
        return bool(self._running)

    @property
    def text(self) -> str:
        """The line on the bar."""
        return self.message or f"Adding {self._what}"

    def add(self, client: Client, paths: Sequence[str]) -> None:
        """Let the backend take files over.

        Raises:
            MienError: BAD_MESSAGE for paths that are not absolute.
        """
        self._running = client.add_models(paths)
        self._what = Path(paths[0]).name if len(paths) == 1 else f"{len(paths)} files"
        self.done, self.message, self.news, self.problem = 0.0, "", (), None

    def cancel(self) -> None:
        """The backend ends: what is whole stays."""
        self._running = ""

    def handle(self, event: Event) -> bool:
        """Take note of what came of it; says whether the event was about that."""
        if not isinstance(event, (AddingGoesOn, FilesAdded, AddingFailed)):
            return False
        if event.adding != self._running:
            return True
        if isinstance(event, AddingGoesOn):
            self.done, self.message = event.done, event.message
            return True
        self._running = ""
        if isinstance(event, FilesAdded):
            self.news = event.news
            tell("INFO", f"Added {self._what}")
        else:
            self.problem = event.error
            tell("ERROR", str(event.error))
        return True
