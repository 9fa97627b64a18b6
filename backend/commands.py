# SPDX-License-Identifier: GPL-3.0-or-later
"""The sub-commands `capture` and `setup`: do what the command line asked for, and say what came of it."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from backend.blender import BlenderProgram, prepare_blender, save_blend
from backend.clock import Clock
from backend.outputs import OutputPaths, check_writable, take_writers, write_json, write_png, write_together
from backend.progress import Progress
from backend.terminal import TerminalProgress, put
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import make_folder
from blender_addon.contract.options import CaptureOptions
from blender_addon.contract.places import BackendRecord, backend_record_path, read_backend_record, write_backend_record
from blender_addon.contract.version import VERSION

if TYPE_CHECKING:
    from backend.chain.result import CaptureResult
    from blender_addon.animation.timing import Timing
    from blender_addon.contract.head import HeadDescription

ROOT = Path(__file__).resolve().parents[1]


def capture(arguments: argparse.Namespace) -> None:
    """Run `mien capture`.

    Args:
        arguments: As `backend.cli` parses them.

    Raises:
        MienError: What the chain, the writing of files and Blender raise. Where Blender fails, the capture is kept.
    """
    started = time.perf_counter()
    if arguments.blender and not arguments.blend:
        message = "--blender says which Blender saves the scene, and no scene was asked for."
        raise MienError(ErrorCode.USAGE, message, "Add --blend FILE, or leave --blender out.")
    options = CaptureOptions(
        source=os.path.abspath(arguments.source),
        face=arguments.face,
        all_faces=arguments.all_faces,
        head=arguments.head,
        focal_mm=arguments.focal,
        device=arguments.device,
        first_frame=arguments.range[0],
        last_frame=arguments.range[1],
        fps=arguments.fps,
        smoothing=arguments.smoothing,
        references=tuple(os.path.abspath(path) for path in arguments.reference),
    )
    _require_clip(options)
    paths = _output_paths(options, arguments.out)
    blend = _blend_path(arguments.blend, paths) if arguments.blend else None
    with _stdout_kept_free(arguments.json), TerminalProgress() as progress:
        if blend is not None:
            check_writable(blend)
        program = prepare_blender(arguments.blender, progress) if blend is not None else None
        record_backend()
        wanted = _Wanted(paths, blend, program, not arguments.no_overlay, arguments.timing)
        report, files = _capture_to_files(options, arguments.threads, wanted, progress, started)
    if arguments.json:
        put(json.dumps(report, indent=2))  # plain ASCII, whatever the encoding of whoever reads it
    else:
        put(summary(report, files))


@dataclass(frozen=True)
class _Wanted:
    """The files that were asked for."""

    paths: OutputPaths
    blend: Path | None
    program: BlenderProgram | None
    overlay: bool
    timing: Timing


def _capture_to_files(
    options: CaptureOptions, threads: int | None, wanted: _Wanted, progress: Progress, started: float
) -> tuple[dict[str, object], list[Path]]:
    """Capture and write everything; returns the report and the files."""
    from backend.pipeline import capture, draw_overlay  # here: loading torch is a good part of the seconds
    from backend.session import Session

    paths = wanted.paths
    session = Session(options.device, threads)
    try:
        clock = Clock()
        clock.seconds["start"] = round(time.perf_counter() - started, 4)
        result = capture(session, options, progress)
        report = dict(result.report)
        clock.seconds = dict(report["seconds"]) | clock.seconds  # type: ignore[call-overload]  # a table of numbers
        report["seconds"] = clock.seconds
        files = dict(take_writers(paths, result.takes))
        if result.contact_sheet is not None:
            files[paths.people] = partial(write_png, pixels=result.contact_sheet)
        if not result.of_clip:
            progress("write", 0.9, "drawing the overlay and writing the results")
            with clock.stage("overlay"):
                files[paths.overlay] = partial(write_png, pixels=draw_overlay(session, result))
        files[paths.report] = partial(write_json, values=report)
        write_together(files)
        written = list(files)
        if wanted.blend is not None and wanted.program is not None:
            with clock.stage("blender"):
                takes = [paths.take(number) for number in range(1, len(result.takes) + 1)]
                head = session.head(options.head)
                scene = _save_blend(wanted, head, takes, result, options, progress)
            report["blend"] = {name: scene[name] for name in ("blend", "blender", "warnings") if name in scene}
            written.append(wanted.blend)
        if result.of_clip and wanted.overlay:
            from backend.chain.overlay_video import write_overlay_video

            with clock.stage("overlay"):
                write_together({paths.overlay: partial(write_overlay_video, session, result, options, progress)})
            written.append(paths.overlay)
        clock.seconds["total"] = round(time.perf_counter() - started, 4)
        write_json(paths.report, report)
    finally:
        session.close()
    return report, written


def _save_blend(
    wanted: _Wanted,
    head: HeadDescription,
    takes: Sequence[Path],
    result: CaptureResult,
    options: CaptureOptions,
    progress: Progress,
) -> dict[str, object]:
    """The Blender scene, with the footage itself behind the head of a clip."""
    source = Path(options.source) if result.of_clip else result.picture
    return save_blend(wanted.program, head, takes, source, wanted.blend, progress, timing=wanted.timing)


def _require_clip(options: CaptureOptions) -> None:
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


def _output_paths(options: CaptureOptions, out: str | None) -> OutputPaths:
    from backend.media.clip import is_clip

    source = Path(options.source)
    if out is not None:
        make_folder(out)
    folder = Path(out).absolute() if out is not None else source.parent
    paths = OutputPaths(folder, _stem(source), is_clip(source))
    if os.path.isdir(paths.folder):  # where it is missing, so is the photo, which says more
        for path in (paths.report, paths.take(1), paths.overlay):
            check_writable(path)
    return paths


def _stem(source: Path) -> str:
    """What results are named after: the source's name without its extension or the place of a frame's number."""
    if os.path.isdir(source):  # unlike Path.is_dir, false in a folder that may not be looked into
        return source.name
    if os.path.isfile(source):
        return source.stem
    return re.sub(r"[._-]?(#+|%0?\d*d)$", "", source.stem) or source.parent.name


def _blend_path(asked: str, paths: OutputPaths) -> Path:
    """Where the .blend goes: a bare name to the other results, a path where it says.

    Raises:
        MienError: USAGE for a name without the ending that Blender needs to open it.
    """
    path = Path(asked)
    if path.suffix != ".blend":
        message = f"{asked} is not the name of a Blender file."
        raise MienError(ErrorCode.USAGE, message, "Give a name that ends in .blend.")
    return path.absolute() if path.name != asked else paths.folder / path


@contextmanager
def _stdout_kept_free(wanted: bool) -> Iterator[None]:
    """Send to stderr what libraries print to stdout, also those that do so behind Python's back."""
    if not wanted:
        yield
        return
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def summary(report: dict[str, object], files: Sequence[Path]) -> str:
    """What a person wants to know about a capture: how well each face went, and what was written."""
    lines = _clip_lines(report) if "clip" in report else _photo_lines(report)
    blend = report.get("blend")
    if isinstance(blend, dict):
        lines += [str(warning) for warning in blend.get("warnings", ())]
    total = report["seconds"]["total"]  # type: ignore[index]
    lines.append(f"Written in {total:.1f} s:")
    lines += [f"  {file}" for file in files]
    return "\n".join(lines)


def _photo_lines(report: dict[str, object]) -> list[str]:
    lines = []
    for face in report["faces"]:  # type: ignore[attr-defined]  # a list of tables
        lines.append(
            f"Face {face['face']}: landmark error {100 * face['landmark_error']:.1f} % of the eye distance, "
            f"confidence {face['confidence']:.2f}"
        )
    found = len(report.get("found", ()))  # type: ignore[arg-type]
    if found > len(lines):
        lines.append(f"{found} faces were found; choose with --face N or --all-faces")
    return lines


def _clip_lines(report: dict[str, object]) -> list[str]:
    clip, camera, lines = report["clip"], report["camera"], []
    for face in report["faces"]:  # type: ignore[attr-defined]  # a list of tables
        gaps = face["gaps"]
        filled = sum(gap["last"] - gap["first"] + 1 for gap in gaps)
        lines.append(
            f"Person {face['person']}: landmark error {100 * face['landmark_error']:.1f} % of the eye distance, "
            f"confidence {face['confidence']:.2f}" + (f", {_frames(filled)} filled in" if filled else "")
        )
    found = len(report["people"])  # type: ignore[arg-type]
    if found > len(lines):
        lines.append(f"{found} people were found; choose with --person N or --all-people")
    unsure = camera["focal_uncertainty"]  # type: ignore[index]
    about = f" +- {100 * unsure:.0f} %" if unsure else ""
    lines.append(f"Focal length {camera['focal_mm']:.0f} mm{about} ({camera['origin']}), static camera")  # type: ignore[index]
    cuts = clip["cuts"]  # type: ignore[index]
    if cuts:
        lines.append(f"Cuts before frames {', '.join(map(str, cuts[:8]))}{', ...' if len(cuts) > 8 else ''}")
    lines += clip["problems"]  # type: ignore[index]
    known = clip["known_frames"]  # type: ignore[index]
    each = report["frames_per_second"]
    pace = f"{each:.{0 if each >= 10 else 1}f} a second"  # type: ignore[operator]
    if known:
        pace = f"{known} of them known from an earlier capture"
    lines.append(f"{_frames(clip['frames'])}, {pace}")  # type: ignore[index]
    return lines


def _frames(count: int) -> str:
    return "1 frame" if count == 1 else f"{count} frames"


def set_up(arguments: argparse.Namespace) -> None:
    """Run `mien setup`: the landmark model, the record that Blender reads and, where asked for, what --blend needs.

    Raises:
        MienError: NO_NETWORK, NO_SPACE, WRONG_HASH, NOT_PERMITTED, SETUP_FAILED.
    """
    from backend.weights.landmarker import landmarker_file

    with TerminalProgress() as progress:
        model = landmarker_file(progress)
        record_backend()
        program = prepare_blender(None, progress) if arguments.blend else None
    put(f"Landmark model: {model}")
    put(f"Blender finds the backend through {backend_record_path()}")
    if program is not None:
        put(f"Blender {'.'.join(map(str, program.version))}: {program.path}")


def record_backend() -> None:
    """Write where this backend lives, unless that is what stands there.

    Raises:
        MienError: NO_SPACE or NOT_PERMITTED.
    """
    record = BackendRecord(sys.executable, str(ROOT), VERSION)
    try:
        known = read_backend_record()
    except MienError:
        known = None  # damaged: it is written anew
    if known != record:
        write_backend_record(record)
