# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding Python interpreters of a wanted version on this machine."""

from __future__ import annotations

import glob
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PROBE = """
import json, struct, sys
try:
    import ensurepip, venv
    complete = True
except ImportError:
    complete = False
print(json.dumps({"version": sys.version_info[:3], "complete": complete, "bits": struct.calcsize("P") * 8}))
"""
_PROBE_SECONDS = 30


@dataclass(frozen=True)
class Interpreter:
    """A Python that runs on this machine.

    Attributes:
        path: Command to start it.
        version: Major, minor and micro version.
        complete: Whether it can make environments (Debian keeps that part in a package of its own).
    """

    path: str
    version: tuple[int, int, int]
    complete: bool

    @property
    def minor(self) -> tuple[int, int]:
        """Major and minor version."""
        return self.version[:2]


def probe(path: str | os.PathLike[str]) -> Interpreter | None:
    """Run an interpreter and ask what it is; None when it does not run, is no Python 3 or is a 32-bit one."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONHOME", "PYTHONPATH")}
    try:
        done = subprocess.run(
            [str(path), "-c", _PROBE],
            capture_output=True,
            text=True,
            timeout=_PROBE_SECONDS,
            env=environment,
            stdin=subprocess.DEVNULL,
        )
        facts = json.loads(done.stdout.strip().splitlines()[-1])
        if done.returncode != 0 or facts["bits"] != 64:
            return None
        major, minor, micro = facts["version"]
        return Interpreter(str(path), (major, minor, micro), bool(facts["complete"]))
    except (OSError, subprocess.TimeoutExpired, ValueError, IndexError, KeyError, TypeError):
        return None  # a shim without a Python behind it, a store alias, an old Python: not one we can use


def this_interpreter() -> Interpreter:
    """The Python that runs this."""
    major, minor, micro = sys.version_info[:3]
    complete = all(importlib.util.find_spec(name) for name in ("ensurepip", "venv"))
    return Interpreter(sys.executable, (major, minor, micro), complete)


def candidates(version: tuple[int, int]) -> Iterator[str]:
    """Paths at which a Python of this version may be, likeliest first; existing files only."""
    major, minor = version
    name = f"python{major}.{minor}"
    if (here := this_interpreter()).minor == version:
        yield here.path
    seen: set[str] = set()
    for path in _raw_candidates(name, version):
        if path not in seen and os.access(path, os.X_OK) and not os.path.isdir(path):
            seen.add(path)
            yield path


def _raw_candidates(name: str, version: tuple[int, int]) -> Iterator[str]:
    dotted = f"{version[0]}.{version[1]}"
    compact = f"{version[0]}{version[1]}"
    for folder in os.get_exec_path():
        for command in (name, "python3", "python"):
            if (found := shutil.which(command, path=folder)) and (command == name or dotted in os.path.realpath(found)):
                yield found
    home = Path.home()
    pyenv = Path(os.environ.get("PYENV_ROOT") or home / ".pyenv")
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA", "")
        patterns = [
            os.path.join(local, "Programs", "Python", f"Python{compact}", "python.exe"),
            rf"C:\Python{compact}\python.exe",
            os.path.join(os.environ.get("PROGRAMFILES", r"C:\Program Files"), f"Python{compact}", "python.exe"),
            str(pyenv / "pyenv-win" / "versions" / f"{dotted}*" / "python.exe"),
        ]
        yield from _from_launcher(dotted)
    else:
        patterns = [
            str(pyenv / "versions" / f"{dotted}*" / "bin" / name),
            str(home / ".local" / "share" / "uv" / "python" / f"cpython-{dotted}*" / "bin" / name),
            f"/opt/homebrew/bin/{name}",
            f"/usr/local/bin/{name}",
            f"/usr/bin/{name}",
            f"/Library/Frameworks/Python.framework/Versions/{dotted}/bin/{name}",
        ]
    for pattern in patterns:
        yield from sorted(glob.glob(pattern), reverse=True)


def _from_launcher(dotted: str) -> Iterator[str]:
    """Ask the Windows launcher `py` where its Python of this version is."""
    try:
        command = ["py", f"-{dotted}", "-c", "import sys; print(sys.executable)"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PROBE_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return
    if done.returncode == 0 and done.stdout.strip():
        yield done.stdout.strip()


def find_interpreter(version: tuple[int, int]) -> Interpreter | None:
    """The first Python of this version that runs and can make environments; None when there is none."""
    for path in candidates(version):
        found = probe(path)
        if found is not None and found.minor == version and found.complete:
            return found
    return None
