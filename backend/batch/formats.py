# SPDX-License-Identifier: GPL-3.0-or-later
"""The takes of a shot in the formats that were asked for; one that cannot be written is told and stops no other."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from backend import blender
from backend.capture_files import Written
from backend.exports.formats import SCENE_FORMATS, TAKE_FORMATS, export_take
from backend.progress import Progress
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.take import Take

from .record import Failure
from .shot import Shot, Task
from .workshop import Workshop


def write_formats(
    task: Task, written: Written, folder: Path, workshop: Workshop, progress: Progress
) -> tuple[list[Path], list[Failure], list[str]]:
    """Write the takes of a shot in its formats.

    Args:
        task: The shot, and how scenes are written.
        written: Its capture.
        folder: The shot's folder.
        workshop: Finds the Blender for scenes.
        progress: Told of each step.

    Returns:
        The files; what could not be written; what Blender had to say.

    Raises:
        MienError: CANCELLED.
    """
    shot, files, failures, warnings = task.shot, [], [], []

    def attempt(names: Sequence[str], work: Callable[[], Sequence[Path]]) -> None:
        progress.check_cancelled()
        progress("export", 1.0, f"writing {', '.join(names)}")
        try:
            files.extend(work())
        except MienError as error:
            if error.code is ErrorCode.CANCELLED:
                raise
            failures.extend(Failure.of(name, error) for name in names)

    for name in shot.formats:
        if name in TAKE_FORMATS and name != "npz":  # the take itself is there already
            attempt([name], lambda name=name: _exported(written.takes, name, folder))
    scenes = [name for name in shot.formats if name in SCENE_FORMATS]
    for names in (["blend"] if "blend" in scenes else [], [name for name in scenes if name != "blend"]):
        if names:
            attempt(names, lambda names=names: _scenes(task, names, written, folder, workshop, progress, warnings))
    return files, failures, warnings


def _exported(takes: Sequence[Path], name: str, folder: Path) -> list[Path]:
    """Each take in a format of its own kind, named like the take."""
    made: list[Path] = []
    for path in takes:
        made += export_take(Take.load(path), name, folder, path.name.removesuffix(".take.npz"))
    return made


def _scenes(
    task: Task,
    names: Sequence[str],
    written: Written,
    folder: Path,
    workshop: Workshop,
    progress: Progress,
    warnings: list[str],
) -> list[Path]:
    """All takes of the shot in one scene, in formats that Blender writes."""
    shot, result = task.shot, written.result
    program = workshop.blender(progress)
    head = workshop.session(shot.options.device).head(shot.options.head)
    source = Path(shot.options.source) if result.of_clip else result.picture
    targets = _targets(shot, names, folder)
    if names == ["blend"]:
        path = targets["blend"]
        told = blender.save_blend(program, head, written.takes, source, path, progress, timing=task.timing)
    else:
        told = blender.export_scene(program, head, written.takes, source, targets, progress, timing=task.timing)
    warnings += _sentences(told)
    return [path for path in targets.values() if os.path.exists(path)]


def _targets(shot: Shot, names: Sequence[str], folder: Path) -> dict[str, Path]:
    stem = PurePosixPath(shot.name).name
    return {name: folder / f"{stem}{SCENE_FORMATS[name]}" for name in names}


def _sentences(told: Mapping[str, object]) -> list[str]:
    found = told.get("warnings")
    return [str(sentence) for sentence in found] if isinstance(found, (list, tuple)) else []
