# SPDX-License-Identifier: GPL-3.0-or-later
"""Letting a Blender build the scene of a capture and write it to files: a .blend, and what other programs read."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from backend.blender_output import Told, read_output
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
_LOOK_SECONDS = 0.3
"""Time between two looks at whether anybody still waits for Blender."""


@dataclass(frozen=True)
class SceneFiles:
    """What Blender made of a scene.

    Attributes:
        files: What was written by format: the file itself, and what belongs to it (`NAME.abc.json`).
        failed: Why other formats could not be written.
        warnings: Sentences for the user.
    """

    files: Mapping[str, tuple[Path, ...]]
    failed: Mapping[str, MienError]
    warnings: tuple[str, ...]

    @property
    def paths(self) -> list[Path]:
        """All files."""
        return [path for paths in self.files.values() for path in paths]


def save_blend(
    program: BlenderProgram,
    head: HeadDescription,
    takes: Sequence[Path],
    source: Photo | Path,
    out: Path,
    progress: Progress,
    start: int = 1,
    timing: Timing = "conform",
) -> SceneFiles:
    """Let Blender build the scene of a capture and save it; see `export_scene`.

    Raises:
        MienError: BLENDER_FAILED, NOT_PERMITTED, NO_SPACE, or the error that the script reported.
    """
    made = export_scene(program, head, takes, source, {BLEND: out}, progress, start, timing)
    if BLEND in made.failed:
        raise made.failed[BLEND]
    return made


def export_scene(
    program: BlenderProgram,
    head: HeadDescription,
    takes: Sequence[Path],
    source: Photo | Path | None,
    targets: Mapping[str, Path],
    progress: Progress,
    start: int = 1,
    timing: Timing = "conform",
) -> SceneFiles:
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

    Raises:
        MienError: What keeps all of them from being written: USAGE without targets; BLENDER_FAILED, NOT_PERMITTED,
            NO_SPACE, or the error that the script reported.
    """
    if not targets:
        raise MienError(ErrorCode.USAGE, "There is no file for Blender to write.", "Name a format and a file.")
    progress("blender", 0.1, f"building the scene in Blender {program.release}")
    with ExitStack() as stack:
        folders, failed = _folders(stack, targets)
        reachable = {name: targets[name] for name in folders}
        folder = next(iter(folders.values()))
        with _in_the_name_of(next(iter(reachable.values()))):
            arguments = _scene_arguments(head, takes, source, folder)
        for name, target in reachable.items():
            made = str(folders[name] / target.name)
            arguments += ["--out", made] if name == BLEND else ["--export", f"{name}={made}"]
        told = _run(program, [*arguments, "--start", str(start), "--timing", timing], folder, reachable, progress)
        failed |= {name: _renamed(error, folders[name], targets[name].parent) for name, error in told.failed.items()}
        files: dict[str, tuple[Path, ...]] = {}
        for name in told.wrote:
            try:
                files[name] = _publish(folders[name], targets[name])
            except MienError as error:
                failed[name] = error
    progress("blender", 1.0, f"wrote {', '.join(targets[name].name for name in files) or 'nothing'}")
    warnings = told.warnings + (_too_new(program, targets[BLEND]) if BLEND in files else ())
    return SceneFiles(files, failed, warnings)


def _folders(stack: ExitStack, targets: Mapping[str, Path]) -> tuple[dict[str, Path], dict[str, MienError]]:
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
    return folders, errors


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


def _publish(folder: Path, target: Path) -> tuple[Path, ...]:
    """Give a target and what belongs to it their places."""
    made = [path for path in sorted(folder.iterdir()) if path.is_file() and not path.name.startswith(".")]
    for path in made:
        publish(path, target.parent / path.name)
    return tuple(target.parent / path.name for path in made)


def _renamed(error: MienError, folder: Path, place: Path) -> MienError:
    """An error with the names of files that the user knows."""
    message, remedy = (text.replace(str(folder), str(place)) for text in (error.message, error.remedy))
    return MienError(error.code, message, remedy, error.details)


@contextmanager
def _in_the_name_of(out: Path) -> Iterator[None]:
    """Let errors about files that only Blender gets to see name the scene that the user asked for."""
    try:
        yield
    except MienError as error:
        message = error.message.replace(str(error.details.get("path")), str(out))
        raise MienError(error.code, message, error.remedy, error.details) from error


def _too_new(program: BlenderProgram, out: Path) -> tuple[str, ...]:
    """Blender 4.2 refuses files that 5.0 and later wrote; 4.5 reads them."""
    if program.version < (5, 0):
        return ()
    remedy = "For Blender 4.2 give --blender the path of a Blender 4."
    return (f"{out.name} was saved by Blender {program.version[0]} and opens in 4.5 and newer. {remedy}",)


def _showable(photo: Photo, folder: Path) -> Path:
    """The photo's own file where Blender can show it, else a copy that it can."""
    source = Path(photo.path).absolute()
    return source if shown_by_blender(source) else write_backdrop(photo, folder)


def _run(
    program: BlenderProgram, arguments: Sequence[str], folder: Path, targets: Mapping[str, Path], progress: Progress
) -> Told:
    environment = clean_environment() | {"BLENDER_USER_RESOURCES": str(folder / ".resources")}
    seconds = _SAVE_SECONDS * len(targets)
    try:
        done = _ended(program.command(HEADLESS, arguments), environment, seconds, progress)
    except subprocess.TimeoutExpired as error:
        asked = ", ".join(map(str, targets.values()))
        message = f"Blender did not finish {asked} within {seconds // 60:.0f} minutes."
        remedy = "Run the command again when the machine is less busy."
        told = read_output(_text(error.stdout), targets)
        return _cut_off(told, targets, MienError(ErrorCode.BLENDER_FAILED, message, remedy), error)
    except OSError as error:
        raise file_error(program.path, error, "started") from error
    told = read_output(done.stdout, targets)
    if done.returncode == 0 and told.ended and set(targets) == {*told.wrote, *told.failed}:
        return told
    log = _keep_log(done.stdout + done.stderr)
    how = f"exit status {done.returncode}" if done.returncode >= 0 else f"signal {-done.returncode}"
    lacking = ", ".join(str(target) for name, target in targets.items() if name not in told.wrote)
    message = f"Blender {program.release} ended without saving {lacking} ({how})."
    remedy = f"Read {log}, or give another Blender with --blender PATH."
    return _cut_off(told, targets, MienError(ErrorCode.BLENDER_FAILED, message, remedy))


def _ended(
    command: Sequence[str], environment: Mapping[str, str], seconds: float, progress: Progress
) -> subprocess.CompletedProcess[str]:
    """What a program printed until it ended; it is ended as soon as nobody wants that any more.

    Raises:
        MienError: CANCELLED.
        subprocess.TimeoutExpired, OSError: As of `subprocess.run`.
    """
    end = time.monotonic() + seconds
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes, encoding="utf-8", errors="replace", env=environment) as process:
        try:
            while True:
                progress.check_cancelled()
                with suppress(subprocess.TimeoutExpired) if time.monotonic() < end else nullcontext():
                    output, errors = process.communicate(timeout=_LOOK_SECONDS)
                    return subprocess.CompletedProcess(command, process.returncode, output, errors)
        except BaseException:  # also Ctrl-C: Blender would run on
            process.kill()
            raise


def _cut_off(told: Told, targets: Mapping[str, Path], error: MienError, cause: BaseException | None = None) -> Told:
    """What is left of a run that did not come to its end; raises the error where that is nothing."""
    if not told.wrote:
        raise error from cause
    return Told(told.wrote, {name: error for name in targets if name not in told.wrote}, told.warnings)


def _text(output: str | bytes | None) -> str:
    return output.decode("utf-8", "replace") if isinstance(output, bytes) else output or ""


def _keep_log(output: str) -> Path:
    log = logs_dir() / "blender.log"
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(output, encoding="utf-8")
    except OSError as error:
        raise file_error(log, error) from error
    return log
