# SPDX-License-Identifier: GPL-3.0-or-later
"""The takes of a shot in the formats that were asked for; one that cannot be written is told and stops no other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from backend import blender
from backend.capture_files import Written
from backend.exports.formats import SCENE_FORMATS, TAKE_FORMATS, export_take
from backend.outputs import take_stem
from backend.progress import Progress
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.take import Take

from .record import Failure
from .shot import Task
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
    for name in shot.formats:
        if name not in TAKE_FORMATS or name == "npz":  # the take itself is there already
            continue
        _tell(progress, [name])
        try:
            files += _exported(written.takes, name, folder)
        except MienError as error:
            failures.append(Failure.of(name, error))
    if scenes := [name for name in shot.formats if name in SCENE_FORMATS]:
        _tell(progress, scenes)
        try:
            made = _scenes(task, scenes, written, folder, workshop, progress)
        except MienError as error:
            if error.code is ErrorCode.CANCELLED:
                raise
            failures += [Failure.of(name, error) for name in scenes]
        else:
            files += made.paths
            failures += [Failure.of(name, error) for name, error in made.failed.items()]
            warnings += made.warnings
    return files, failures, warnings


def _tell(progress: Progress, names: Sequence[str]) -> None:
    progress.check_cancelled()
    progress("export", 1.0, f"writing {', '.join(names)}")


def _exported(takes: Sequence[Path], name: str, folder: Path) -> list[Path]:
    """Each take in a format of its own kind, named like the take."""
    made: list[Path] = []
    for path in takes:
        made += export_take(Take.load(path), name, folder, take_stem(path))
    return made


def _scenes(
    task: Task, names: Sequence[str], written: Written, folder: Path, workshop: Workshop, progress: Progress
) -> blender.SceneFiles:
    """All takes of the shot in one scene, in formats that Blender writes."""
    shot, result = task.shot, written.result
    program = workshop.blender(progress)
    head = workshop.session(shot.options.device).head(shot.options.head)
    source = Path(shot.options.source) if result.of_clip else result.picture
    stem = PurePosixPath(shot.name).name
    targets = {name: folder / f"{stem}{SCENE_FORMATS[name]}" for name in names}
    return blender.export_scene(program, head, written.takes, source, targets, progress, timing=task.timing)
