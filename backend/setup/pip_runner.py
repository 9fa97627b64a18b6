# SPDX-License-Identifier: GPL-3.0-or-later
"""Running pip: its output becomes progress, its failures become errors that say what to do."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.places import logs_dir

if TYPE_CHECKING:
    from backend.progress import Progress

_RESOLVED_AT = 0.8  # share of the work that is done when pip starts to install what it fetched
_PIP_OPTIONS = (
    *("--no-input", "--disable-pip-version-check", "--progress-bar", "off", "--only-binary", ":all:"),
    *("--retries", "3"),  # said, since with 0 pip does not tell a missing network from a missing package
)
# Settings that would put the packages elsewhere than into the environment.
_LEADING_ASTRAY = frozenset(
    {"PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_REQUIRE_VIRTUALENV", "PYTHONHOME", "PYTHONPATH"}
)

_FILE_NAME = re.compile(r"([^/\\\s]+?)-(\d[^-/\\\s]*)(?:-[^/\\\s]*)?\.whl\S*(?: \(([\d.]+ [kMG]?B)\))?")
_COUNTED = ("Collecting ", "Processing ", "Requirement already satisfied")  # one for each package
_LOADS = "# loads:"
_WITHOUT_DEPENDENCIES = "# without dependencies:"
_NO_MATCH = re.compile(r"No matching distribution found for (\S+)")

_NO_SPACE = ("No space left on device", "Disk quota exceeded", "Errno 28", "not enough space on the disk")
_WRONG_HASH = ("DO NOT MATCH THE HASHES",)
_NO_NETWORK = (
    "NewConnectionError",
    "Failed to establish a new connection",
    "NameResolutionError",
    "Temporary failure in name resolution",
    "getaddrinfo failed",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "Read timed out",
    "Network is unreachable",
    "Connection aborted",
    "IncompleteRead",
    "ProxyError",
    "SSLError",
)
_NOT_PERMITTED = ("Permission denied", "Read-only file system", "Access is denied")


class PipFailure(MienError):
    """A failed installation.

    Attributes:
        changed_environment: Whether pip had begun to change the environment when it failed.
    """

    changed_environment: bool = False


def clean_environment() -> dict[str, str]:
    """The process environment without the settings that would lead an environment's Python or pip astray."""
    return {name: value for name, value in os.environ.items() if name not in _LEADING_ASTRAY}


def pip_install(python: str, locks: Sequence[Path], stage: str, progress: Progress) -> None:
    """Install the locked packages into the environment of `python`.

    Locks that say `# without dependencies:` and why are installed after the others, and what their packages ask for
    beyond them is not.

    Args:
        python: The environment's interpreter.
        locks: Requirement files with exact versions.
        stage: Name of the stage for the progress.
        progress: Told of each package.

    Raises:
        PipFailure: NO_NETWORK, NO_SPACE, WRONG_HASH, NOT_PERMITTED or SETUP_FAILED.
        OSError: The log cannot be written.
    """
    apart = [lock for lock in locks if _without_dependencies(lock)]
    together = [lock for lock in locks if lock not in apart]
    if together:
        _install(python, together, stage, progress, ())
    if apart:
        try:
            _install(python, apart, stage, progress, ("--no-deps",))
        except PipFailure as failure:
            failure.changed_environment |= bool(together)
            raise


def _without_dependencies(lock: Path) -> bool:
    return any(line.startswith(_WITHOUT_DEPENDENCIES) for line in lock.read_text(encoding="utf-8").splitlines())


def _install(python: str, locks: Sequence[Path], stage: str, progress: Progress, options: Sequence[str]) -> None:
    command = [python, "-m", "pip", "install", *_PIP_OPTIONS, *options]
    for lock in locks:
        command += ["-r", str(lock)]
    expected = max(1, sum(len(pinned_packages(lock)) for lock in locks))
    log_file = logs_dir() / f"{stage}.log"
    log_file.parent.mkdir(parents=True, exist_ok=True)
    lines: list[str] = []
    collected = 0
    installing = False
    with (
        log_file.open("w", encoding="utf-8") as log,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            errors="replace",
            env=clean_environment() | {"PYTHONUNBUFFERED": "1"},
        ) as process,
    ):
        assert process.stdout is not None
        try:
            for line in process.stdout:
                log.write(line)
                lines.append(line.strip())
                if lines[-1].startswith(_COUNTED):
                    collected += 1
                installing = installing or lines[-1].startswith("Installing collected packages")
                share = min(1.0, collected / expected) * _RESOLVED_AT
                if message := _describe(lines[-1]):
                    progress(stage, share, message)
                progress.check_cancelled()
        except BaseException:  # a cancel, Ctrl-C, a full disk under the log: pip must not run on
            process.kill()
            raise
    if process.returncode != 0:
        failure = explain_failure(lines, log_file)
        failure.changed_environment = installing
        raise failure
    progress(stage, 1.0, "done")


def pinned_packages(lock: Path) -> list[str]:
    """The requirement lines of a lock, without comments."""
    lines = (line.split("#")[0].strip() for line in lock.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


def modules_to_load(lock: Path) -> list[str]:
    """The modules that must import once a lock is installed: those on its lines that start with `# loads:`."""
    lines = lock.read_text(encoding="utf-8").splitlines()
    return [module for line in lines if line.startswith(_LOADS) for module in line.removeprefix(_LOADS).split()]


def _describe(line: str) -> str:
    """What one line of pip's output means to a user; empty for lines that mean nothing."""
    if line.startswith("Collecting "):
        return f"looking for {line.split()[1]}"
    if line.startswith(("Downloading ", "Using cached ", "Processing ")):
        found = _FILE_NAME.search(line)
        if found is None or ".whl.metadata" in line:
            return ""
        verb = "downloading" if line.startswith("Downloading ") else "reading"
        size = f" ({found[3]})" if found[3] else ""
        return f"{verb} {found[1].replace('_', '-')} {found[2]}{size}"
    if line.startswith("Installing collected packages"):
        return f"installing what was fetched ({line.count(',') + 1}), which can take a minute or two"
    if line.startswith("WARNING: Retrying"):
        return "the network does not answer, trying again"
    return ""


def explain_failure(lines: Iterable[str], log_file: Path) -> PipFailure:
    """What a failed pip run means for the user.

    Args:
        lines: Its output.
        log_file: Where that output is kept.
    """
    lines = list(lines)
    text = "\n".join(lines)
    details = {"log": str(log_file)}

    def says(marks: Sequence[str]) -> bool:
        return any(mark in text for mark in marks)

    if says(_WRONG_HASH):
        message = "A downloaded package is not the one that was locked (its hash differs)."
        remedy = "Run the command again; if it stays so, something on the way from the package index changes files."
        return PipFailure(ErrorCode.WRONG_HASH, message, remedy, details)
    if says(_NO_SPACE):
        message = "The disk is full, so the packages cannot be installed."
        return PipFailure(ErrorCode.NO_SPACE, message, "Free about 4 GB and run the command again.", details)
    if says(_NO_NETWORK):
        message = "The packages cannot be downloaded because the package index cannot be reached."
        remedy = "Connect to the internet (or point pip to an index you can reach) and run the command again."
        return PipFailure(ErrorCode.NO_NETWORK, message, remedy, details)
    if says(_NOT_PERMITTED):
        message = "The packages cannot be written: permission denied."
        remedy = "Put Mien's folder where you may write and run the command again."
        return PipFailure(ErrorCode.NOT_PERMITTED, message, remedy, details)
    if found := _NO_MATCH.search(text):
        here = f"Python {sys.version_info[0]}.{sys.version_info[1]} on {platform.system()} {platform.machine()}"
        message = f"The package index has no build of {found[1]} for {here}."
        remedy = "Run the command with another Python from 3.11 to 3.14."
        return PipFailure(ErrorCode.SETUP_FAILED, message, remedy, details)
    reason = next((line for line in reversed(lines) if line.startswith("ERROR")), lines[-1] if lines else "no output")
    message = f"The packages cannot be installed: {reason.removeprefix('ERROR:').strip().rstrip('.')}."
    return PipFailure(ErrorCode.SETUP_FAILED, message, f"Read {log_file}, then run the command again.", details)
