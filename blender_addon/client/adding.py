# SPDX-License-Identifier: GPL-3.0-or-later
"""Model files on their way into the backend's store, which takes them over where they lie."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from functools import partial

from ..contract.errors import MienError
from ..contract.messages import AddModels, ModelsAdded, Reply
from .connection import Connection
from .events import AddingFailed, AddingGoesOn, Event, FilesAdded

_NEVER = float("inf")


class ModelAdding:
    """Asks for files to be taken over until they are.

    Args:
        tell: Called with what came of it.
    """

    def __init__(self, tell: Callable[[Event], None]) -> None:
        self._tell = tell
        self._wanted: dict[str, AddModels] = {}
        self._due: dict[str, float] = {}
        self._now = 0.0

    def add(self, paths: Sequence[str]) -> str:
        """Ask for files and folders to be taken over; FilesAdded or AddingFailed follows, and AddingGoesOn before.

        Returns:
            Id of the request.

        Raises:
            MienError: BAD_MESSAGE for paths that are not absolute.
        """
        adding = uuid.uuid4().hex
        self._wanted[adding], self._due[adding] = AddModels(adding, tuple(paths)), 0.0
        return adding

    def step(self, link: Connection, now: float) -> None:
        """Send what is due."""
        self._now = now
        for adding, due in list(self._due.items()):
            if now >= due:
                self._due[adding] = _NEVER  # until its reply is there
                link.send(self._wanted[adding], now, partial(self._on_reply, adding))

    def ask_again(self) -> None:
        """The backend is started anew: what it has not answered is asked again."""
        self._due = dict.fromkeys(self._wanted, 0.0)

    def give_up(self, error: MienError) -> None:
        """There is no backend any more."""
        for adding in list(self._wanted):
            self._fail(adding, error)

    def _on_reply(self, adding: str, reply: Reply | MienError) -> None:
        if adding not in self._wanted:
            return
        if isinstance(reply, MienError):
            self._fail(adding, reply)
        elif isinstance(reply, ModelsAdded):
            if reply.news is None:
                self._due[adding] = self._now
                self._tell(AddingGoesOn(adding, min(max(reply.done, 0.0), 1.0), reply.message))
            else:
                self._forget(adding)
                self._tell(FilesAdded(adding, reply.news))

    def _fail(self, adding: str, error: MienError) -> None:
        self._forget(adding)
        self._tell(AddingFailed(adding, error))

    def _forget(self, adding: str) -> None:
        self._wanted.pop(adding, None)
        self._due.pop(adding, None)
