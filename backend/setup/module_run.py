# SPDX-License-Identifier: GPL-3.0-or-later
"""Running one of the project's modules inside the tests' environment, for the scripts that measure and draw."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from backend.terminal import TerminalProgress, guarded

from .pip_runner import clean_environment
from .runtime import ensure_runtime


def run_module(root: str, module: str, arguments: Sequence[str]) -> int:
    """Make the environment if need be, and run a module in it.

    Args:
        root: Folder of the sources.
        module: Name of the module, such as "tests.benchmarks".
        arguments: Its arguments.

    Returns:
        Exit status.
    """
    status = 0

    def run() -> None:
        nonlocal status
        with TerminalProgress() as progress:
            python = ensure_runtime(Path(root), progress, ("test.txt",))
        environment = clean_environment() | {"PYTHONPATH": root}
        status = subprocess.run([python, "-m", module, *arguments], cwd=root, env=environment, check=False).returncode

    return guarded(run) or status
