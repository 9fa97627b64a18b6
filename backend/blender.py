# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding a Blender and letting it save a .blend: an installed one, or bpy from PyPI in an environment of its own."""

from __future__ import annotations

import glob
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from backend.media.backdrop import shown_by_blender, write_backdrop
from backend.outputs import publish, working_folder
from backend.progress import Progress
from backend.setup.bpy_environments import FOR_SAVING, choose_release, ensure_bpy
from backend.setup.pip_runner import clean_environment
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import file_error
from blender_addon.contract.places import environments_dir, logs_dir

if TYPE_CHECKING:
    from backend.media.images import Photo
    from blender_addon.animation.timing import Timing
    from blender_addon.contract.head import HeadDescription

OLDEST = (4, 2)
ROOT = Path(__file__).resolve().parents[1]
HEADLESS = ROOT / "blender_addon" / "headless.py"

_ASK_SECONDS = 120
_SAVE_SECONDS = 600
_BLENDER = re.compile(r"^Blender (\d+)\.(\d+)(?:\.(\d+))?", re.MULTILINE)
_PYTHON = re.compile(r"^Python 3\.", re.MULTILINE)
_ASK_MODULE = "import bpy; print('Blender %d.%d.%d' % tuple(bpy.app.version))"


@dataclass(frozen=True)
class BlenderProgram:
    """A Blender that can save files.

    Attributes:
        path: The executable, or the Python that has bpy.
        version: Major, minor, patch.
        is_module: Whether `path` is a Python that has bpy.
    """

    path: str
    version: tuple[int, int, int]
    is_module: bool

    def command(self, script: Path, arguments: Sequence[str]) -> list[str]:
        """Command line that runs a script in this Blender; the script finds its arguments after `--`."""
        if self.is_module:
            return [self.path, "-P", str(script), "--", *arguments]
        options = ["--background", "--factory-startup", "--python-exit-code", "1", "--python", str(script)]
        return [self.path, *options, "--", *arguments]


def identify(path: str | os.PathLike[str]) -> BlenderProgram | None:
    """Ask a program which Blender it is; None when it does not run or is neither Blender nor a Python with bpy."""
    path = str(path)
    answer = _ask([path, "--version"])
    is_module = bool(_PYTHON.search(answer))
    if is_module:
        answer = _ask([path, "-c", _ASK_MODULE])
    found = _BLENDER.search(answer)
    if found is None:
        return None
    return BlenderProgram(path, (int(found[1]), int(found[2]), int(found[3] or 0)), is_module)


def _ask(command: Sequence[str]) -> str:
    try:
        return subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            timeout=_ASK_SECONDS,
            env=clean_environment(),
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""  # not a program that answers: the caller says so


def find_blender(explicit: str | None = None) -> BlenderProgram | None:
    """The Blender to use: the one that was asked for, $MIEN_BLENDER, the PATH's, or one in a usual place.

    Args:
        explicit: Path of Blender, or of a Python that has bpy.

    Returns:
        None when nothing was asked for and none that is new enough was found.

    Raises:
        MienError: BLENDER_FAILED when the one that was asked for cannot be used.
    """
    if asked := explicit or os.environ.get("MIEN_BLENDER"):
        return _require(asked)
    for candidate in _usual_places():
        program = identify(candidate)
        if program is not None and program.version[:2] >= OLDEST:
            return program
    return None


def _require(asked: str) -> BlenderProgram:
    path = Path(asked).expanduser()
    if path.suffix == ".app":
        path = path / "Contents" / "MacOS" / "Blender"
    found = shutil.which(str(path)) or str(path)
    remedy = "Give --blender the path of Blender 4.2 or newer, or leave it out."
    if not Path(found).exists():
        raise MienError(ErrorCode.BLENDER_FAILED, f"There is no Blender at {asked}.", remedy)
    program = identify(found)
    if program is None:
        raise MienError(ErrorCode.BLENDER_FAILED, f"{asked} is not a Blender that runs on this machine.", remedy)
    if program.version[:2] < OLDEST:
        version = ".".join(map(str, program.version))
        raise MienError(ErrorCode.BLENDER_FAILED, f"{asked} is Blender {version}, which is too old.", remedy)
    return program


def _usual_places() -> Iterator[str]:
    if found := shutil.which("blender"):
        yield found
    home = Path.home()
    if sys.platform == "win32":
        patterns = [
            os.path.join(os.environ.get(variable, fallback), *parts)
            for variable, fallback in (
                ("PROGRAMFILES", r"C:\Program Files"),
                ("PROGRAMFILES(X86)", r"C:\Program Files (x86)"),
            )
            for parts in (
                ("Blender Foundation", "Blender*", "blender.exe"),
                ("Steam", "steamapps", "common", "Blender", "blender.exe"),
            )
        ]
    elif sys.platform == "darwin":
        inside = "Blender*.app/Contents/MacOS/Blender"
        patterns = [f"/Applications/{inside}", f"{home}/Applications/{inside}"]
    else:
        patterns = [
            f"{home}/blender*/blender",
            f"{home}/Applications/blender*/blender",
            "/opt/blender*/blender",
            "/usr/local/blender*/blender",
            "/snap/bin/blender",
            f"{home}/.local/share/Steam/steamapps/common/Blender/blender",
            "/var/lib/flatpak/exports/bin/org.blender.Blender",
            f"{home}/.local/share/flatpak/exports/bin/org.blender.Blender",
        ]
    for pattern in patterns:
        yield from sorted(glob.glob(pattern), reverse=True)


def prepare_blender(explicit: str | None, progress: Progress) -> BlenderProgram:
    """A Blender that can save: the one found, else bpy from PyPI, installed at first use.

    Raises:
        MienError: What `find_blender` and `ensure_bpy` raise.
    """
    progress("blender", 0.0, "looking for Blender")
    if program := find_blender(explicit):
        return program
    release, interpreter = choose_release(FOR_SAVING)
    python = ensure_bpy(release, interpreter, ROOT, environments_dir(), progress)
    program = identify(python)
    if program is None:
        message = f"Blender as a Python module does not run in {Path(python).parent.parent}."
        raise MienError(ErrorCode.BLENDER_FAILED, message, "Remove that folder and run the command again.")
    return program


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
    """Let Blender build the scene of a capture and save it.

    Args:
        program: The Blender to use.
        head: The head of the takes.
        takes: Take files, one for each person.
        source: The photo they are of, or the file, folder or pattern of their footage, for the camera's background.
        out: The .blend. Blender works in a folder beside it that goes away, so that it is whole or absent.
        progress: Told of the step.
        start: Scene frame of the first sample.
        timing: How source frames fall on scene frames.

    Returns:
        What the script inside Blender reported; its `warnings` are sentences for the user.

    Raises:
        MienError: BLENDER_FAILED, NOT_PERMITTED, NO_SPACE, or the error that the script reported.
    """
    version = ".".join(map(str, program.version))
    progress("blender", 0.1, f"building the scene in Blender {version}")
    with working_folder(out) as folder:
        head_file = folder / "head.npz"
        with _in_the_name_of(out):
            head.save(head_file)
            shown = source.absolute() if isinstance(source, Path) else _showable(source, folder)
        arguments = ["--head", str(head_file)]
        for take in takes:
            arguments += ["--take", str(take)]
        arguments += ["--source", str(shown), "--out", str(folder / out.name)]
        arguments += ["--start", str(start), "--timing", timing]
        reported = _run(program, arguments, folder, out)
        publish(folder / out.name, out)
    progress("blender", 1.0, f"saved {out.name}")
    warnings = [*_sentences(reported), *_too_new(program, out)]
    return reported | {"blend": str(out), "warnings": warnings}


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


def _run(program: BlenderProgram, arguments: Sequence[str], folder: Path, out: Path) -> dict[str, object]:
    environment = clean_environment() | {"BLENDER_USER_RESOURCES": str(folder / "resources")}
    try:
        done = subprocess.run(
            program.command(HEADLESS, arguments),
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=_SAVE_SECONDS,
            env=environment,
        )
    except subprocess.TimeoutExpired as error:
        message = f"Blender did not finish {out} within {_SAVE_SECONDS // 60} minutes."
        remedy = "Run the command again when the machine is less busy."
        raise MienError(ErrorCode.BLENDER_FAILED, message, remedy) from error
    except OSError as error:
        raise file_error(program.path, error, "started") from error
    reported = last_json_line(done.stdout)
    if reported is not None and reported.get("ok") is False:
        raise _reported_error(reported)
    if done.returncode != 0 or reported is None or not (folder / out.name).exists():
        log = _keep_log(done.stdout + done.stderr)
        how = f"exit status {done.returncode}" if done.returncode >= 0 else f"signal {-done.returncode}"
        message = f"Blender {'.'.join(map(str, program.version))} ended without saving {out} ({how})."
        raise MienError(ErrorCode.BLENDER_FAILED, message, f"Read {log}, or give another Blender with --blender PATH.")
    return reported


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
