# SPDX-License-Identifier: GPL-3.0-or-later
"""A capture and the files that it leaves; `mien capture` and `mien batch` both come here."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from backend.blender import BlenderProgram, save_blend
from backend.clock import Clock
from backend.outputs import MAPS, OutputPaths, take_stem, take_writers, write_json, write_png, write_together
from backend.progress import Progress
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.options import CaptureOptions

if TYPE_CHECKING:
    from backend.chain.result import CaptureResult
    from backend.session import Session
    from blender_addon.animation.timing import Timing
    from blender_addon.contract.take import Take


@dataclass(frozen=True)
class WantedScene:
    """The Blender scene that was asked for.

    Attributes:
        path: The .blend.
        program: Which Blender saves it.
        timing: How source frames fall on scene frames.
    """

    path: Path
    program: BlenderProgram
    timing: Timing = "conform"


@dataclass(frozen=True)
class Wanted:
    """The files that were asked for.

    Attributes:
        paths: Where takes, report and overlay go.
        overlay: Whether the overlay video of a clip is written; the overlay picture of a photo always is.
        scene: The Blender scene, if any.
    """

    paths: OutputPaths
    overlay: bool = True
    scene: WantedScene | None = None


@dataclass(frozen=True)
class Written:
    """What a capture left.

    Attributes:
        report: As in the report file.
        files: All that was written.
        takes: The take files among them, one for each person.
        result: The capture itself.
    """

    report: dict[str, object]
    files: tuple[Path, ...]
    takes: tuple[Path, ...]
    result: CaptureResult


def write_capture(
    session: Session, options: CaptureOptions, wanted: Wanted, progress: Progress, started: float
) -> Written:
    """Capture, and write everything that was asked for; takes and report first, so that no later failure loses them.

    Args:
        session: The loaded models.
        options: What to capture and how.
        wanted: Which files.
        progress: Told of each step.
        started: `time.perf_counter()` at the begin of what the report calls the total.

    Raises:
        MienError: What `backend.pipeline.capture`, the writing of files and Blender raise.
    """
    from backend.detail.wrinkles import CODE  # here: loading torch is a good part of the seconds
    from backend.pipeline import capture, draw_overlay

    paths, clock = wanted.paths, Clock()
    clock.seconds["start"] = round(time.perf_counter() - started, 4)
    result = capture(session, options, progress)
    report = dict(result.report)
    clock.seconds = dict(report["seconds"]) | clock.seconds  # type: ignore[call-overload]  # a table of numbers
    report["seconds"] = clock.seconds
    files = dict(take_writers(paths, result.takes))
    takes = tuple(files)
    if result.contact_sheet is not None:
        files[paths.people] = partial(write_png, pixels=result.contact_sheet)
    if not result.of_clip:
        progress("write", 0.9, "drawing the overlay and writing the results")
        with clock.stage("overlay"):
            files[paths.overlay] = partial(write_png, pixels=draw_overlay(session, result))
    files[paths.report] = partial(write_json, values=report)
    write_together(files)
    written = list(files)
    maps: dict[str, object] = {}
    if any(CODE in take.extra for take in result.takes):
        with clock.stage("displacement"):
            maps = _write_maps(session, dict(zip(takes, result.takes, strict=True)), options, progress)
    if maps:
        report["displacement"] = maps
        written += [take.with_name(f"{take_stem(take)}{MAPS}") for take in takes]
    if wanted.scene is not None:
        with clock.stage("blender"):
            report["blend"] = _save_scene(session, wanted.scene, takes, result, options, progress)
        written.append(wanted.scene.path)
    if result.of_clip and wanted.overlay:
        from backend.chain.overlay_video import write_overlay_video

        with clock.stage("overlay"):
            write_together({paths.overlay: partial(write_overlay_video, session, result, options, progress)})
        written.append(paths.overlay)
    clock.seconds["total"] = round(time.perf_counter() - started, 4)
    write_json(paths.report, report)
    return Written(report, tuple(written), takes, result)


def _write_maps(
    session: Session, takes: Mapping[Path, Take], options: CaptureOptions, progress: Progress
) -> dict[str, object]:
    """Write the maps of takes with wrinkles, and each take again, which names them then; what the report says of it.

    The takes are safe before: a map that cannot be written loses none.
    """
    from backend.detail.capture import wrinkles_of

    wrinkles = wrinkles_of(session, options, takes.values())
    if wrinkles is None:
        return {}
    from backend.detail.map_files import write_maps

    count = 0
    for path, take in takes.items():
        folder = path.with_name(f"{take_stem(path)}{MAPS}")
        named = write_maps(wrinkles, take, options.displacement, folder, progress)
        write_together({path: named.save})
        count += len(set(named.meta.displacement))
    return {"maps": count, "every": options.displacement}


def _save_scene(
    session: Session,
    scene: WantedScene,
    takes: Sequence[Path],
    result: CaptureResult,
    options: CaptureOptions,
    progress: Progress,
) -> dict[str, object]:
    """Save the Blender scene, with the footage itself behind the head of a clip; what the report says of it."""
    source = Path(options.source) if result.of_clip else result.picture
    head = session.head(options.head)
    made = save_blend(scene.program, head, takes, source, scene.path, progress, timing=scene.timing)
    return {"blend": str(scene.path), "blender": scene.program.release, "warnings": list(made.warnings)}


def require_clip(options: CaptureOptions) -> None:
    """Refuse for a photo what only clips have, rather than leave it aside in silence.

    Raises:
        MienError: USAGE.
    """
    from backend.media.clip import is_clip

    span = options.first_frame, options.last_frame
    asked = {"--range": span != (None, None), "--fps": options.fps is not None, "--reference": options.references}
    given = next((name for name, value in asked.items() if value), None)
    if given is not None and os.path.isfile(options.source) and not is_clip(options.source):
        message = f"{given} is for clips, and {options.source} is a single picture."
        remedy = f"Leave {given} out; of numbered images give the folder or a pattern such as shot.####.png."
        raise MienError(ErrorCode.USAGE, message, remedy)


def stem_of(source: Path) -> str:
    """What results are named after: the source's name without its extension or the place of a frame's number."""
    if os.path.isdir(source):  # unlike Path.is_dir, false in a folder that may not be looked into
        return source.name
    if os.path.isfile(source):
        return source.stem
    return re.sub(r"[._-]?(#+|%0?\d*d)$", "", source.stem) or source.parent.name
