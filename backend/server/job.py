# SPDX-License-Identifier: GPL-3.0-or-later
"""One job of this process: its takes, what it shows while it runs, what is asked of it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

from backend.server.folder import JobFolder, JobSpec
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.messages import JobStatus, LiveAction
from blender_addon.contract.take import Take

UNWATCHED_SECONDS = 10.0
"""A live capture whose previews nobody asked for this long ends: a dead Blender must not hold a camera."""

LOOKING_SECONDS = 2.0
"""Somebody who asked for a preview this long ago still looks."""


@dataclass(frozen=True, eq=False)
class Shown:
    """The newest preview: its number, from 1, and takes of one frame. Number 0: none."""

    number: int = 0
    takes: tuple[Take, ...] = ()


class Job:
    """One job of this process.

    Args:
        folder: Where it lives.
        spec: What it is to do.
        status: Where it stands.
        takes: Takes that are saved.
    """

    def __init__(self, folder: JobFolder, spec: JobSpec, status: JobStatus, takes: list[Take]) -> None:
        self.folder = folder
        self.spec = spec
        self.status = status
        self.takes = takes
        self.report: dict[str, object] | None = None
        self.cancelled = threading.Event()
        self.last_used = time.monotonic()
        self.shown = Shown()
        self._actions: deque[LiveAction] = deque()
        self._seen_actions: set[int] = set()
        self._watched = 0.0

    def begin_again(self) -> None:
        """Forget what belongs to an earlier run, except for its takes."""
        self.cancelled.clear()
        self.report = None
        self.shown = Shown()
        self._actions.clear()
        self._seen_actions.clear()

    def keep(self, take: Take) -> None:
        """Save a take;
        one of the same person replaces the earlier one, so that a job that is run again repeats nothing.
        """
        index = next((i for i, old in enumerate(self.takes) if old.meta.person == take.meta.person), len(self.takes))
        self.folder.save_take(index, take)
        self.takes[index : index + 1] = [take]
        self.status = replace(self.status, takes=len(self.takes))

    def show(self, takes: Sequence[Take]) -> None:
        """Replace the preview."""
        self.shown = Shown(self.shown.number + 1, tuple(takes))
        self.status = replace(self.status, preview=self.shown.number)

    def control(self, action: LiveAction, number: int) -> None:
        """Hand an action to the live capture; one whose number was seen before changes nothing.

        Raises:
            MienError: USAGE where the job is not live or is over.
        """
        if not self.spec.options.live:
            message = f"The capture of {self.spec.options.source} is not live."
            raise MienError(ErrorCode.USAGE, message, "Start a live capture.")
        if number in self._seen_actions:
            return
        if self.status.state.final:
            raise MienError(ErrorCode.USAGE, "The live capture is over.", "Start a new one.")
        self._seen_actions.add(number)
        self._actions.append(action)
        self.watch()

    def watch(self) -> None:
        """Somebody looks at the previews."""
        self._watched = time.monotonic()

    @property
    def watched(self) -> bool:
        """Whether previews are made for anybody."""
        return time.monotonic() - self._watched < LOOKING_SECONDS

    def take_actions(self) -> list[LiveAction]:
        """What was asked for since the last call; END when nobody watches any more."""
        actions = []
        while self._actions:
            actions.append(self._actions.popleft())
        if time.monotonic() - self._watched > UNWATCHED_SECONDS:
            actions.append(LiveAction.END)
        return actions
