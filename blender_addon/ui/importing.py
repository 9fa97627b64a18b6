# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes from files into the scene: onto a head that is there, or with a head of their own, as soon as that is here."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy

from .. import compat
from ..animation.apply import ApplyOptions, apply_take
from ..client.events import ClientState, Event, HeadFailed, StateChanged
from ..client.jobs import Client
from ..contract.errors import ErrorCode, MienError
from ..contract.head import HeadDescription
from ..contract.take import Take
from ..scene import SceneOptions, add_captures
from .records import scene_of
from .takes import list_take, title_of
from .tell import tell


@dataclass(frozen=True, eq=False)
class Waiting:
    """A take whose head is on its way.

    Attributes:
        take: The take.
        path: Its file.
        scene: `session_uid` of the scene that gets it.
        options: How it gets there.
    """

    take: Take
    path: str
    scene: int
    options: SceneOptions


def put_on(mesh: Any, take: Take, path: str, scene: Any, options: ApplyOptions) -> tuple[str, ...]:
    """Let a head in the scene perform a take, and list it.

    Returns:
        Sentences for the user.

    Raises:
        MienError: As of `apply_take`.
    """
    applied = apply_take(mesh, take, scene, options)
    list_take(scene, take, path, applied.action)
    return applied.warnings


def build(take: Take, path: str, head: HeadDescription, scene: Any, options: SceneOptions) -> tuple[str, ...]:
    """Build a head for a take, with its camera, and the footage behind it where that is on this machine.

    Returns:
        Sentences for the user.

    Raises:
        MienError: As of `add_captures`.
    """
    source = take.meta.source if os.path.isabs(take.meta.source) and os.path.exists(take.meta.source) else None
    captured = add_captures(head, [take], source, scene, options)
    list_take(scene, take, path, captured.heads[0].action)
    return captured.warnings


class Imports:
    """Takes that wait for their heads.

    Attributes:
        problem: Why the last ones were given up.
    """

    def __init__(self) -> None:
        self._waiting: list[Waiting] = []
        self.problem: MienError | None = None

    @property
    def running(self) -> list[str]:
        """Names of the files that wait."""
        return [Path(item.path).name for item in self._waiting]

    def add(self, client: Client, item: Waiting) -> None:
        """Wait for a head, which the backend is asked for."""
        self.problem = None
        client.want_head(item.take.meta.head_sha256)
        self._waiting.append(item)

    def cancel(self) -> None:
        """Wait no longer."""
        self._waiting.clear()

    def step(self, client: Client | None) -> bool:
        """Build what waits for a head that is here, but not while the user is in the middle of something.

        Returns:
            Whether anything changed.
        """
        if not self._waiting or client is None or compat.work_in_hand():
            return False
        item = self._waiting[0]
        try:
            head = client.head(item.take.meta.head_sha256)
            if head is None:
                client.want_head(item.take.meta.head_sha256)  # again, where a backend has gone meanwhile
                return False
            del self._waiting[0]
            warnings = _build_later(item, head)
        except MienError as error:
            self._fail(error, [item])
            return True
        for warning in warnings:
            tell("WARNING", warning)
        return True

    def handle(self, event: Event) -> bool:
        """Give up what waits for a head that does not come; says whether the event was about that alone."""
        if isinstance(event, HeadFailed):
            self._fail(event.error, [item for item in self._waiting if item.take.meta.head_sha256 == event.sha256])
            return True
        if isinstance(event, StateChanged) and event.state is ClientState.FAILED and event.error is not None:
            self._fail(event.error, list(self._waiting))
        return False

    def _fail(self, error: MienError, lost: list[Waiting]) -> None:
        if lost:
            self._waiting = [item for item in self._waiting if item not in lost]
            self.problem = error
            tell("ERROR", str(error))


def _build_later(item: Waiting, head: HeadDescription) -> tuple[str, ...]:
    """Build as one undo step; the operator that asked for it is long over."""
    scene = scene_of(item.scene)
    if scene is None:
        message = f"The scene for {Path(item.path).name} is gone."
        raise MienError(ErrorCode.USAGE, message, "Import the take again.")
    with compat.window_context(scene.name):
        warnings = build(item.take, item.path, head, scene, item.options)
        bpy.ops.ed.undo_push(message="Import Take")
    return warnings


def label_of(take: Take, path: str) -> str:
    """What the list calls a take that no head performs yet."""
    return title_of(take) or Path(path).name
