# SPDX-License-Identifier: GPL-3.0-or-later
"""Letting a Blender build the scene of a capture and write it to files: a .blend, and what other programs read."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from backend.blender_programs import ROOT, BlenderProgram
from backend.blender_programs import prepare_blender as prepare_blender  # what is needed before anything here
from backend.media.backdrop import shown_by_blender, write_backdrop
from backend.outputs import publish, working_folder
from backend.progress import Progress
from backend.setup.pip_runner import clean_environment
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import file_error
from blender_addon.contract.places import logs_dir

if TYPE_CHECKING:
    from backend.media.images import Photo
    from blender_addon.animation.timing import Timing
    from blender_addon.contract.head import HeadDescription

HEADLESS = ROOT / "blender_addon" / "headless.py"
BLEND = "blend"
"""Name of Blender's own format among the targets."""

_SAVE_SECONDS = 600
_WROTE = "Mien wrote "
"""What the script begins a line with that names a target which is whole."""


def save_blend(
    program: BlenderProgram,
    head: HeadDescription,
    takes: Sequence[Path],
    source: Photo | Path,
    out: Path,
    progress: Progress,
    start: int = 1,
    timing: Timing = "conform",
) -> dict[str, object]:
    """Let Blender build the scene of a capture and save it; see `export_scene`.

    Raises:
        MienError: BLENDER_FAILED, NOT_PERMITTED, NO_SPACE, or the error that the script reported.
    """
    reported = export_scene(program, head, takes, source, {BLEND: out}, progress, start, timing)
    failed = reported["failed"]
    if isinstance(failed, dict) and failed:
        raise _reported_error(failed[BLEND])
    return reported


def export_scene(
    program: BlenderProgram,
    head: HeadDescription,
    takes: Sequence[Path],
    source: Photo | Path | None,
    targets: Mapping[str, Path],
    progress: Progress,
    start: int = 1,
    timing: Timing = "conform",
) -> dict[str, object]:
    """Let one Blender build the scene of a capture and write it in several formats.

    Args:
        program: The Blender to use.
        head: The head of the takes.
        takes: Take files, one for each person.
        source: The photo they are of, or the file, folder or pattern of their footage, for the camera's background;
            None for no background.
        targets: Files by format: "blend" and those of `exports.formats.SCENE_FORMATS`. Blender works in folders beside
            them that go away, so that each is whole or absent; what belongs to a file (`NAME.abc.json`) comes with it.
        progress: Told of the step.
        start: Scene frame of the first sample.
        timing: How source frames fall on scene frames.

    Returns:
        What the script inside Blender reported. `files` has what was written by format, as lists of paths; `failed` has
        `{code, message, remedy}` by format; `warnings` are sentences for the user; `blend` is there where it was saved.

    Raises:
        MienError: What keeps all of them from being written: USAGE without targets; BLENDER_FAILED, NOT_PERMITTED,
            NO_SPACE, or the error that the script reported.
    """
    if not targets:
        raise MienError(ErrorCode.USAGE, "There is no file for Blender to write.", "Name a format and a file.")
    version = ".".join(map(str, program.version))
    progress("blender", 0.1, f"building the scene in Blender {version}")
    with ExitStack() as stack:
        folders, failed = _folders(stack, targets)
        reachable = {name: targets[name] for name in folders}
        folder = next(iter(folders.values()))
        with _in_the_name_of(next(iter(reachable.values()))):
            arguments = _scene_arguments(head, takes, source, folder)
        for name, target in reachable.items():
            made = str(folders[name] / target.name)
            arguments += ["--out", made] if name == BLEND else ["--export", f"{name}={made}"]
        ran = _run(program, [*arguments, "--start", str(start), "--timing", timing], folder, reachable)
        failed |= {name: _named(error, folders[name], targets[name]) for name, error in ran.failed.items()}
        files: dict[str, list[str]] = {}
        for name in ran.wrote:
            try:
                files[name] = _publish(folders[name], targets[name])
            except MienError as error:
                failed[name] = _told(error)
    progress("blender", 1.0, f"wrote {', '.join(targets[name].name for name in files) or 'nothing'}")
    warnings = _sentences(ran.report)
    report = {name: value for name, value in ran.report.items() if name not in (BLEND, "exports")}
    if BLEND in files:
        warnings += _too_new(program, targets[BLEND])
        report[BLEND] = str(targets[BLEND])
    return report | {"files": files, "failed": failed, "warnings": warnings}


_Failed = dict[str, dict[str, str]]
"""`{code, message, remedy}` by format."""


@dataclass(frozen=True)
class _Ran:
    """What became of a run of the script: its report, the targets that are whole, and why others are not."""

    report: dict[str, object]
    wrote: tuple[str, ...]
    failed: _Failed


def _folders(stack: ExitStack, targets: Mapping[str, Path]) -> tuple[dict[str, Path], _Failed]:
    """A folder beside each target for it and what belongs to it; raises the first error where none can be had."""
    folders: dict[str, Path] = {}
    errors: dict[str, MienError] = {}
    for name, target in targets.items():
        try:
            folders[name] = stack.enter_context(working_folder(target))
        except MienError as error:
            errors[name] = error
    if not folders:
        raise next(iter(errors.values()))
    return folders, {name: _told(error) for name, error in errors.items()}


def _scene_arguments(
    head: HeadDescription, takes: Sequence[Path], source: Photo | Path | None, folder: Path
) -> list[str]:
    """What the script is told about the scene; files for that go into a folder under names that are not published."""
    head_file, hidden = folder / ".head.npz", folder / ".shown"
    head.save(head_file)
    hidden.mkdir()
    arguments = ["--head", str(head_file)]
    for take in takes:
        arguments += ["--take", str(take)]
    if source is not None:
        shown = source.absolute() if isinstance(source, Path) else _showable(source, hidden)
        arguments += ["--source", str(shown)]
    return arguments


def _publish(folder: Path, target: Path) -> list[str]:
    """Give a target and what belongs to it their places."""
    made = [path for path in sorted(folder.iterdir()) if path.is_file() and not path.name.startswith(".")]
    for path in made:
        publish(path, target.parent / path.name)
    return [str(target.parent / path.name) for path in made]


def _named(error: Mapping[str, str], folder: Path, target: Path) -> dict[str, str]:
    """An error with the names of files that the user knows."""
    return {key: text.replace(str(folder), str(target.parent)) for key, text in error.items()}


def _told(error: MienError) -> dict[str, str]:
    return {"code": error.code.value, "message": error.message, "remedy": error.remedy}


@contextmanager
def _in_the_name_of(out: Path) -> Iterator[None]:
    """Let errors about files that only Blender gets to see name the scene that the user asked for."""
    try:
        yield
    except MienError as error:
        message = error.message.replace(str(error.details.get("path")), str(out))
        raise MienError(error.code, message, error.remedy, error.details) from error


def _sentences(reported: Mapping[str, object]) -> list[str]:
    warnings = reported.get("warnings")
    return [str(warning) for warning in warnings] if isinstance(warnings, list) else []


def _too_new(program: BlenderProgram, out: Path) -> list[str]:
    """Blender 4.2 refuses files that 5.0 and later wrote; 4.5 reads them."""
    if program.version < (5, 0):
        return []
    remedy = "For Blender 4.2 give --blender the path of a Blender 4."
    return [f"{out.name} was saved by Blender {program.version[0]} and opens in 4.5 and newer. {remedy}"]


def _showable(photo: Photo, folder: Path) -> Path:
    """The photo's own file where Blender can show it, else a copy that it can."""
    source = Path(photo.path).absolute()
    return source if shown_by_blender(source) else write_backdrop(photo, folder)


def _run(program: BlenderProgram, arguments: Sequence[str], folder: Path, targets: Mapping[str, Path]) -> _Ran:
    environment = clean_environment() | {"BLENDER_USER_RESOURCES": str(folder / ".resources")}
    seconds = _SAVE_SECONDS * len(targets)
    asked = ", ".join(map(str, targets.values()))
    try:
        done = subprocess.run(
            program.command(HEADLESS, arguments),
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=seconds,
            env=environment,
        )
    except subprocess.TimeoutExpired as error:
        message = f"Blender did not finish {asked} within {seconds // 60:.0f} minutes."
        remedy = "Run the command again when the machine is less busy."
        return _cut_off(_text(error.stdout), targets, MienError(ErrorCode.BLENDER_FAILED, message, remedy), error)
    except OSError as error:
        raise file_error(program.path, error, "started") from error
    reported = last_json_line(done.stdout)
    if reported is not None and reported.get("ok") is False:
        raise _reported_error(reported)
    wrote = _wrote(done.stdout, targets)
    failed = _failures(reported)
    if done.returncode == 0 and reported is not None and set(targets) == {*wrote, *failed}:
        return _Ran(reported, wrote, failed)
    log = _keep_log(done.stdout + done.stderr)
    how = f"exit status {done.returncode}" if done.returncode >= 0 else f"signal {-done.returncode}"
    lacking = ", ".join(str(target) for name, target in targets.items() if name not in wrote)
    message = f"Blender {'.'.join(map(str, program.version))} ended without saving {lacking} ({how})."
    remedy = f"Read {log}, or give another Blender with --blender PATH."
    return _cut_off(done.stdout, targets, MienError(ErrorCode.BLENDER_FAILED, message, remedy))


def _cut_off(output: str, targets: Mapping[str, Path], error: MienError, cause: BaseException | None = None) -> _Ran:
    """What is left of a run that did not come to its end; raises the error where that is nothing."""
    wrote = _wrote(output, targets)
    if not wrote:
        raise error from cause
    return _Ran({}, wrote, {name: _told(error) for name in targets if name not in wrote})


def _wrote(output: str, targets: Mapping[str, Path]) -> tuple[str, ...]:
    names = [line.removeprefix(_WROTE).strip() for line in output.splitlines() if line.startswith(_WROTE)]
    return tuple(name for name in targets if name in names)


def _text(output: str | bytes | None) -> str:
    return output.decode("utf-8", "replace") if isinstance(output, bytes) else output or ""


def _failures(reported: Mapping[str, object] | None) -> _Failed:
    failed = (reported or {}).get("failed")
    if not isinstance(failed, dict):
        return {}
    return {str(name): {key: str(text) for key, text in error.items()} for name, error in failed.items()}


def last_json_line(output: str) -> dict[str, object] | None:
    """The last line of a program's output that is a JSON object; Blender prints lines of its own around ours."""
    for line in reversed(output.splitlines()):
        if line.startswith("{"):
            try:
                found = json.loads(line)
            except ValueError:
                continue
            if isinstance(found, dict):
                return found
    return None


def _reported_error(fields: Mapping[str, object]) -> MienError:
    code, message, remedy = (str(fields.get(name, "")) for name in ("code", "message", "remedy"))
    known = ErrorCode(code) if code in set(ErrorCode) else ErrorCode.BLENDER_FAILED
    return MienError(known, message, remedy)


def _keep_log(output: str) -> Path:
    log = logs_dir() / "blender.log"
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(output, encoding="utf-8")
    except OSError as error:
        raise file_error(log, error) from error
    return log
