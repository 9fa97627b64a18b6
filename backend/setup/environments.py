# SPDX-License-Identifier: GPL-3.0-or-later
"""Making Python environments from locks: whole or absent, and once, from however many processes it is asked."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from blender_addon.contract.errors import ErrorCode, MienError

from . import system_libraries
from .folder_lock import exclusive
from .interpreters import Interpreter, probe
from .pip_runner import PipFailure, clean_environment, modules_to_load, pip_install
from .stamp import STAMP, UNFINISHED, environment_python, is_ready, write_stamp

if TYPE_CHECKING:
    from backend.progress import Progress

_CHECK_SECONDS = 300  # the first import of large packages from a cold, slow disk


def ensure_environment(
    folder: Path,
    locks: Sequence[Path],
    interpreter: Interpreter,
    progress: Progress,
) -> str:
    """Make an environment, or bring it up to date, unless it is whole already.

    An environment that was cut off while it was made is made anew; one that somebody else made is kept and gets the
    locked packages. The modules that the locks name must load; then a stamp with the locks' hashes is written, last.

    Args:
        folder: The environment.
        locks: Requirement files to install, all at once.
        interpreter: Python to make it with. An existing environment of another Python version is made anew.
        progress: Told of each step; the stage is the folder's name.

    Returns:
        Path of the environment's interpreter.

    Raises:
        MienError: NO_NETWORK, NO_SPACE, WRONG_HASH, NOT_PERMITTED or SETUP_FAILED. What was half-installed is removed.
    """
    if is_ready(folder, locks):
        return environment_python(folder)
    stage = folder.name.lstrip(".")

    def waiting() -> None:
        progress(stage, 0.0, "waiting for another Mien that is setting this up")

    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with exclusive(folder.with_name(f"{folder.name}.environment-lock"), waiting):
            if not is_ready(folder, locks):
                _make(folder, stage, locks, interpreter, progress)
    except OSError as error:
        raise _folder_error(folder, error) from error
    return environment_python(folder)


def _make(
    folder: Path,
    stage: str,
    locks: Sequence[Path],
    interpreter: Interpreter,
    progress: Progress,
) -> None:
    keep = _can_be_kept(folder, interpreter)
    if not keep:
        _remove(folder)
        version = f"{interpreter.version[0]}.{interpreter.version[1]}"
        progress(stage, 0.0, f"making a Python {version} environment in {folder}")
    unfinished = folder / UNFINISHED
    try:
        if not keep:
            folder.mkdir()
        unfinished.touch()
        if not keep:
            _make_bare(folder, interpreter)
        python = environment_python(folder)
        pip_install(python, locks, stage, progress)
    except PipFailure as failure:
        if not keep:
            _remove(folder)
        elif not failure.changed_environment:
            unfinished.unlink()
        raise
    except BaseException:  # also Ctrl-C: what was begun here and did not end well must not be taken for whole
        if not keep:
            _remove(folder)
        raise
    unfinished.unlink()
    # What fails from here on (a library that the system lacks) is mended outside: the packages stay for the next try.
    progress(stage, 1.0, "checking that everything loads")
    check_imports(python, [module for lock in locks for module in modules_to_load(lock)])
    write_stamp(folder, locks)


def _can_be_kept(folder: Path, interpreter: Interpreter) -> bool:
    """Whether an existing environment needs only packages.

    Raises:
        MienError: SETUP_FAILED when something else than an environment stands there.
    """
    if not folder.exists() and not folder.is_symlink():
        return False
    if (folder / UNFINISHED).exists():
        return False
    if not (folder / "pyvenv.cfg").exists() and (not folder.is_dir() or any(folder.iterdir())):
        message = f"{folder} is in the way: it is not a Python environment."
        raise MienError(ErrorCode.SETUP_FAILED, message, "Move it away and run the command again.")
    existing = probe(environment_python(folder))
    return existing is not None and existing.minor == interpreter.minor


def _make_bare(folder: Path, interpreter: Interpreter) -> None:
    name = f"Python {interpreter.version[0]}.{interpreter.version[1]} ({interpreter.path})"
    if not interpreter.complete:
        message = f"{name} cannot make environments because its venv part is missing."
        raise MienError(ErrorCode.SETUP_FAILED, message, system_libraries.venv_remedy(interpreter.minor))
    status, said = _run_with_children([interpreter.path, "-m", "venv", str(folder)])
    if status != 0:
        if "No space left" in said:
            raise _folder_error(folder, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
        reason = (said.strip().splitlines() or ["no reason given"])[-1].rstrip(".")
        message = f"{name} cannot make the environment {folder}: {reason}."
        raise MienError(ErrorCode.SETUP_FAILED, message, "Run the command again with another Python, 3.11 or newer.")


def _run_with_children(command: Sequence[str]) -> tuple[int, str]:
    """Exit status and output of a command. Where the wait is broken off, it ends with all that it has started."""
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        errors="replace",
        env=clean_environment(),
        start_new_session=True,
    ) as process:
        try:
            said, _ = process.communicate()
        except BaseException:  # also Ctrl-C: its own child would go on filling the folder that is removed next
            if hasattr(os, "killpg"):
                os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            raise
    return process.returncode, said


def check_imports(python: str, modules: Sequence[str]) -> None:
    """Import modules in an environment.

    Raises:
        MienError: SETUP_FAILED when one does not import, with the package to install where a library is missing.
    """
    code = "\n".join(f"import {module}" for module in modules)
    try:
        done = subprocess.run(
            [python, "-c", code],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_CHECK_SECONDS,
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as error:
        message = f"The installed packages did not load within {_CHECK_SECONDS} s."
        remedy = "Run the command again when the machine is less busy."
        raise MienError(ErrorCode.SETUP_FAILED, message, remedy) from error
    if done.returncode == 0:
        return
    reason = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
    if library := system_libraries.missing_library(done.stderr):
        message = f"The system library {library} is missing."
        raise MienError(ErrorCode.SETUP_FAILED, message, system_libraries.install_remedy([library]))
    message = f"The installed packages do not load: {reason.rstrip('.')}."
    folder = Path(python).parent.parent
    raise MienError(ErrorCode.SETUP_FAILED, message, f"Remove {folder} and run the command again.")


def _remove(folder: Path) -> None:
    """Remove an environment, its stamp first, so that a removal that is cut off leaves nothing that looks whole."""
    if folder.is_symlink():
        folder.unlink()
        return
    if not folder.exists():
        return
    (folder / STAMP).unlink(missing_ok=True)
    (folder / UNFINISHED).touch()
    shutil.rmtree(folder)


def _folder_error(folder: Path, error: OSError) -> MienError:
    full = error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
    code = ErrorCode.NO_SPACE if full else ErrorCode.NOT_PERMITTED
    place = error.filename or folder
    remedy = "Free about 4 GB and run the command again." if full else "Put Mien's folder where you may write."
    return MienError(code, f"{place} cannot be written: {error.strerror or error}.", remedy)
