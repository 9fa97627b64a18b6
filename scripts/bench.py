#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print how well and how fast captures are: quality against its bounds, speed against a named alternative.

    python3 scripts/bench.py [--only quality|speed]

It runs in the tests' environment, on real photos and on synthetic heads. Nothing here passes or fails.
"""

import os
import subprocess
import sys

from python_version import require_supported_python

require_supported_python()

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)


from pathlib import Path  # noqa: E402

from backend.setup.pip_runner import clean_environment  # noqa: E402
from backend.setup.runtime import ensure_runtime  # noqa: E402
from backend.terminal import TerminalProgress, guarded  # noqa: E402


def main(arguments):
    """Make the environment if need be, and measure inside it."""

    def run():
        with TerminalProgress() as progress:
            python = ensure_runtime(Path(ROOT), progress, ("test.txt",))
        command = [python, "-m", "tests.benchmarks", *arguments]
        subprocess.run(command, cwd=ROOT, env=clean_environment() | {"PYTHONPATH": ROOT}, check=True)

    return guarded(run)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
