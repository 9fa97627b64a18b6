# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding a Blender: an installed one, or bpy from PyPI in an environment of its own."""

from __future__ import annotations

import glob
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from backend.progress import Progress
from backend.setup.bpy_environments import FOR_SAVING, choose_release, ensure_bpy
from backend.setup.pip_runner import clean_environment
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.places import environments_dir

OLDEST = (4, 2)
ROOT = Path(__file__).resolve().parents[1]

_ASK_SECONDS = 120
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

    @property
    def release(self) -> str:
        """The version as people write it."""
        return ".".join(map(str, self.version))

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
        message = f"{asked} is Blender {program.release}, which is too old."
        raise MienError(ErrorCode.BLENDER_FAILED, message, remedy)
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
