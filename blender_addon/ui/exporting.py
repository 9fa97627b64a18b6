# SPDX-License-Identifier: GPL-3.0-or-later
"""Exports that run: heads, which Blender writes one format at a time, and takes, which the backend writes.

Plain values only, as in the session: names and numbers outlive undo, references do not.
"""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import bpy

from .. import compat
from ..client.events import Event, ExportFailed, FormatsListed, TakeExported
from ..client.jobs import Client
from ..contract.errors import ErrorCode, MienError
from ..contract.exporting import TakeFormat, is_file_name
from ..contract.take import Take
from ..exports.formats import export_heads
from ..exports.whole import write_files
from .records import scene_of
from .tell import tell

NPZ = TakeFormat("npz", "Mien take", ".take.npz")
"""The format that there is in any case; the backend tells of the others."""


@dataclass(frozen=True)
class HeadTask:
    """Heads to one format.

    Attributes:
        format: Its name.
        path: The file.
        scene: `session_uid` of their scene.
        heads: `session_uid` of their mesh objects.
    """

    format: str
    path: Path
    scene: int
    heads: tuple[int, ...]


class Exports:
    """The exports of this Blender.

    Attributes:
        formats: In which takes can be written.
        listed: Whether the backend has told of them.
        problems: Why those that were asked for last failed.
    """

    def __init__(self) -> None:
        self.formats: tuple[TakeFormat, ...] = (NPZ,)
        self.listed = False
        self.problems: list[MienError] = []
        self._heads: deque[HeadTask] = deque()
        self._takes: dict[str, Path] = {}

    @property
    def running(self) -> list[str]:
        """Names of the files that are not there yet."""
        return [task.path.name for task in self._heads] + [path.name for path in self._takes.values()]

    def add_heads(self, tasks: list[HeadTask]) -> None:
        """Write heads, one format with each step."""
        self._begin()
        self._heads += tasks

    def add_take(self, client: Client, take: Take, name: str, path: Path) -> None:
        """Let the backend write a take.

        Args:
            client: Who asks it.
            take: The take.
            name: Name of the format.
            path: The file.

        Raises:
            MienError: USAGE for a name that not every system takes.
        """
        self._begin()
        suffix = self.suffix(name)
        stem = stem_of(path.name, suffix)
        if not is_file_name(stem):
            message = f"'{stem}' is no name for a file on every system."
            raise MienError(ErrorCode.USAGE, message, 'Choose one without / \\ : * ? " < > | and dots at the end.')
        self._takes[client.export_take(take, name, stem)] = path.with_name(f"{stem}{suffix}")

    def suffix(self, name: str) -> str:
        """What files of a format that takes are written in end in; empty where it is not known."""
        return next((item.suffix for item in self.formats if item.name == name), "")

    def _begin(self) -> None:
        if not self.running:
            self.problems.clear()

    def cancel(self, client: Client | None) -> None:
        """Write nothing more; what is whole stays."""
        self._heads.clear()
        for export in self._takes if client else ():
            client.cancel_export(export)
        self._takes.clear()

    def step(self) -> bool:
        """Write one format of a head, but not while the user is in the middle of something.

        Returns:
            Whether anything changed.
        """
        if not self._heads or compat.work_in_hand():
            return False
        task = self._heads.popleft()
        self._attempt(task.path, lambda: _write_heads(task))
        return True

    def handle(self, event: Event) -> bool:
        """Take note of what came of exports; says whether it was about them."""
        if isinstance(event, FormatsListed):
            self.formats, self.listed = event.formats, True
        elif isinstance(event, TakeExported):
            if path := self._takes.pop(event.export, None):
                contents = {file.path: file.data.tobytes() for file in event.files}
                self._attempt(path, lambda: _no_warnings(write_files(path, contents)))
        elif isinstance(event, ExportFailed):
            if self._takes.pop(event.export, None):
                self._fail(event.error)
        else:
            return False
        return True

    def _attempt(self, path: Path, write: Callable[[], tuple[str, ...]]) -> None:
        try:
            warnings = write()
        except MienError as error:
            self._fail(error)
            return
        except Exception as error:  # noqa: BLE001  # captures that run beside it must not end for an exporter's fault
            traceback.print_exc()
            message = f"Exporting {path.name} failed unexpectedly ({type(error).__name__}: {error})."
            remedy = "Choose another format; Blender's console says more."
            self._fail(MienError(ErrorCode.INTERNAL, message, remedy))
            return
        for warning in warnings:
            tell("WARNING", warning)
        tell("INFO", f"Exported {path.name}")

    def _fail(self, error: MienError) -> None:
        self.problems.append(error)
        tell("ERROR", str(error))


def stem_of(name: str, suffix: str) -> str:
    """A file's name without a format's suffix, or without the last part of it ("a.npz" for ".take.npz")."""
    last = f".{suffix.rpartition('.')[2]}" if suffix else ""
    found = next((end for end in (suffix, last) if end and name.lower().endswith(end) and name.lower() != end), "")
    return name[: len(name) - len(found)]


def _no_warnings(_paths: list[Path]) -> tuple[str, ...]:
    return ()


def _write_heads(task: HeadTask) -> tuple[str, ...]:
    scene = scene_of(task.scene)
    meshes = [item for item in bpy.data.objects if item.session_uid in task.heads]
    if scene is None or len(meshes) < len(task.heads):
        message = f"The head for {task.path.name} is gone."
        raise MienError(ErrorCode.USAGE, message, "Select a head and export it again.")
    return export_heads(task.format, scene, meshes, task.path)
