# SPDX-License-Identifier: GPL-3.0-or-later
"""From any Python to the command line inside the environment. Every start passes here, so imports stay few and late."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from .runtime import ENVIRONMENT, lock_files
from .stamp import environment_python, is_ready


def launch(root: str, arguments: Sequence[str]) -> int:
    """Make the environment if need be, then become `mien` inside it.

    Args:
        root: Folder of the sources.
        arguments: Arguments of the command.

    Returns:
        Exit status, where the process does not turn into the command itself (Windows, and a set-up that failed).
    """
    folder = Path(root, ENVIRONMENT)
    if not is_ready(folder, lock_files(Path(root))):
        status = _first_use(Path(root), arguments)
        if status:
            return status
    # -P: a file in the user's folder that happens to be called like one of our modules must not be imported.
    command = [environment_python(folder), "-P", "-m", "backend.cli", *arguments]
    path = os.environ.get("PYTHONPATH")
    environment = os.environ | {"PYTHONPATH": root + os.pathsep + path if path else root}
    if os.name == "nt":
        return _wait_for(command, environment)
    os.execve(command[0], command, environment)


def _first_use(root: Path, arguments: Sequence[str]) -> int:
    """Make the environment, showing each step; the exit status, 0 when it was made."""
    from backend.cli import parse
    from backend.terminal import TerminalProgress, guarded

    from .runtime import ensure_runtime

    def make() -> None:
        parse(arguments)  # help, and mistakes in the command, need no environment
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # being ended clears up just as Ctrl-C does
        with TerminalProgress() as progress:
            ensure_runtime(root, progress)

    return guarded(make)


def _wait_for(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a command as a child where a process cannot be replaced. Ctrl-C reaches the child itself, which then ends."""
    with subprocess.Popen(command, env=environment) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue


