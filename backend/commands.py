# SPDX-License-Identifier: GPL-3.0-or-later
"""The sub-commands `capture` and `setup`: do what the command line asked for, and say what came of it."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

from backend.blender import BlenderProgram, prepare_blender, save_blend
from backend.outputs import OutputPaths, check_writable, write_capture, write_json
from backend.progress import Progress
from backend.terminal import TerminalProgress, put
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import make_folder
from blender_addon.contract.options import CaptureOptions
from blender_addon.contract.places import BackendRecord, backend_record_path, read_backend_record, write_backend_record
from blender_addon.contract.version import VERSION

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
        source=os.path.abspath(arguments.photo),
        face=arguments.face,
        all_faces=arguments.all_faces,
        head=arguments.head,
        focal_mm=arguments.focal,
        device=arguments.device,
    )
    paths = _output_paths(options, arguments.out)
    blend = _blend_path(arguments.blend, paths) if arguments.blend else None
    with _stdout_kept_free(arguments.json), TerminalProgress() as progress:
        if blend is not None:
            check_writable(blend)
        program = prepare_blender(arguments.blender, progress) if blend is not None else None
        record_backend()
        report, files = _capture_to_files(options, arguments.threads, paths, blend, program, progress, started)
    if arguments.json:
        put(json.dumps(report, indent=2))  # plain ASCII, whatever the encoding of whoever reads it
    else:
        put(summary(report, files))


def _capture_to_files(
    options: CaptureOptions,
    threads: int | None,
    paths: OutputPaths,
    blend: Path | None,
    program: BlenderProgram | None,
    progress: Progress,
    started: float,
) -> tuple[dict[str, object], list[Path]]:
    """Capture and write everything; returns the report and the files."""
    from backend.pipeline import capture_photo, draw_overlay  # here: loading torch is a good part of the seconds
    from backend.session import Session

    session = Session(options.device, threads)
    try:
        loaded = time.perf_counter()
        result = capture_photo(session, options, progress)
        captured = time.perf_counter()
        progress("write", 0.9, "drawing the overlay and writing the results")
        overlay = draw_overlay(session, result)
        report = dict(result.report)
        seconds = dict(report["seconds"])  # type: ignore[call-overload]  # a table of numbers
        seconds["start"] = round(loaded - started, 4)
        seconds["overlay"] = round(time.perf_counter() - captured, 4)
        report["seconds"] = seconds
        takes = write_capture(paths, result.takes, overlay, report)
        files = [*takes, paths.overlay, paths.report]
        if blend is not None and program is not None:
            begun = time.perf_counter()
            scene = save_blend(program, session.head(options.head), takes, result.picture, blend, progress)
            seconds["blender"] = round(time.perf_counter() - begun, 4)
            report["blend"] = {name: scene[name] for name in ("blend", "blender", "warnings") if name in scene}
            files.append(blend)
        seconds["total"] = round(time.perf_counter() - started, 4)
        write_json(paths.report, report)
    finally:
        session.close()
    return report, files


def _output_paths(options: CaptureOptions, out: str | None) -> OutputPaths:
    source = Path(options.source)
    if out is not None:
        make_folder(out)
    paths = OutputPaths(Path(out).absolute() if out is not None else source.parent, source.stem)
    if os.path.isdir(paths.folder):  # where it is missing, so is the photo, which says more
        check_writable(paths.report)
    return paths


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
    lines = []
    for face in report["faces"]:  # type: ignore[attr-defined]  # a list of tables
        lines.append(
            f"Face {face['face']}: landmark error {100 * face['landmark_error']:.1f} % of the eye distance, "
            f"confidence {face['confidence']:.2f}"
        )
    found = len(report.get("found", ()))  # type: ignore[arg-type]
    if found > len(lines):
        lines.append(f"{found} faces were found; choose with --face N or --all-faces")
    blend = report.get("blend")
    if isinstance(blend, dict):
        lines += [str(warning) for warning in blend.get("warnings", ())]
    total = report["seconds"]["total"]  # type: ignore[index]
    lines.append(f"Written in {total:.1f} s:")
    lines += [f"  {file}" for file in files]
    return "\n".join(lines)


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
