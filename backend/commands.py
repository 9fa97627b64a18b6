# SPDX-License-Identifier: GPL-3.0-or-later
"""The sub-commands `capture` and `setup`: do what the command line asked for, and say what came of it."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, redirect_stdout
from pathlib import Path

from backend.blender import prepare_blender
from backend.capture_files import Wanted, WantedScene, Written, require_clip, stem_of, write_capture
from backend.outputs import OutputPaths, check_writable
from backend.progress import Progress
from backend.setup.runtime import ENVIRONMENT, FAN_LOCK, ONNX_LOCK, RAY_LOCK, TRAIN_LOCK, ensure_runtime
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
        source=os.path.abspath(arguments.source),
        face=arguments.face,
        all_faces=arguments.all_faces,
        engine=arguments.engine,
        head=arguments.head,
        focal_mm=arguments.focal,
        device=arguments.device,
        first_frame=arguments.range[0],
        last_frame=arguments.range[1],
        fps=arguments.fps,
        smoothing=arguments.smoothing,
        references=tuple(os.path.abspath(path) for path in arguments.reference),
        weights=arguments.weights,
        identity=arguments.identity,
        eyelid_space=arguments.eyelids,
        boxes=arguments.boxes,
        displacement=arguments.displacement,
    )
    require_clip(options)
    paths = _output_paths(options, arguments.out)
    blend = _blend_path(arguments.blend, paths) if arguments.blend else None
    with _stdout_kept_free(arguments.json), TerminalProgress() as progress:
        if blend is not None:
            check_writable(blend)
        scene = None
        if blend is not None:
            scene = WantedScene(blend, prepare_blender(arguments.blender, progress), arguments.timing)
        record_backend()
        wanted = Wanted(paths, not arguments.no_overlay, scene)
        written = _captured(options, arguments.threads, wanted, progress, started)
    if arguments.json:
        put(json.dumps(written.report, indent=2))  # plain ASCII, whatever the encoding of whoever reads it
    else:
        put(summary(written.report, written.files))


def _captured(
    options: CaptureOptions, threads: int | None, wanted: Wanted, progress: Progress, started: float
) -> Written:
    from backend.session import Session  # here: loading torch is a good part of the seconds

    with closing(Session(options.device, threads)) as session:
        return write_capture(session, options, wanted, progress, started)


def _output_paths(options: CaptureOptions, out: str | None) -> OutputPaths:
    from backend.media.clip import is_clip

    source = Path(options.source)
    if out is not None:
        make_folder(out)
    folder = Path(out).absolute() if out is not None else source.parent
    paths = OutputPaths(folder, stem_of(source), is_clip(source))
    if os.path.isdir(paths.folder):  # where it is missing, so is the photo, which says more
        for path in (paths.report, paths.take(1), paths.overlay):
            check_writable(path)
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
        if extras := [name for name in _EXTRAS if getattr(arguments, name)]:
            _add_extras(extras, progress)
        model = landmarker_file(progress)
        record_backend()
        program = prepare_blender(None, progress) if arguments.blend else None
    put(f"Landmark model: {model}")
    put(f"Blender finds the backend through {backend_record_path()}")
    if program is not None:
        put(f"Blender {program.release}: {program.path}")


_EXTRAS = {"ray": RAY_LOCK, "onnx": ONNX_LOCK, "fan": FAN_LOCK, "train": TRAIN_LOCK}
"""The lock of each option of `mien setup` that adds packages."""


def _add_extras(names: Sequence[str], progress: Progress) -> None:
    """Install extras into the environment that runs this, unless they are there.

    Raises:
        MienError: See `ensure_environment`; SETUP_FAILED where the environment is not ours to change.
    """
    if os.path.realpath(sys.prefix) != os.path.realpath(ROOT / ENVIRONMENT):
        message = f"The environment {sys.prefix} was not made by Mien, so nothing is installed into it."
        remedy = f"Install it yourself: pip install 'mien[{','.join(names)}]'"
        if "fan" in names:
            remedy += ", then pip install --no-deps face-alignment==1.5.0"
        raise MienError(ErrorCode.SETUP_FAILED, message, f"{remedy}.")
    ensure_runtime(ROOT, progress, tuple(_EXTRAS[name] for name in names))


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
