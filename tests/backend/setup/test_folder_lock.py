# SPDX-License-Identifier: GPL-3.0-or-later
"""One process at a time, and no lock that outlives its holder."""

from __future__ import annotations

import subprocess
import sys

from backend.setup.folder_lock import exclusive

HOLD = """
import sys, time
from pathlib import Path
from backend.setup.folder_lock import exclusive
with exclusive(Path(sys.argv[1]), lambda: None):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_waits_and_a_killed_one_lets_go(tmp_path, repository):
    path = tmp_path / "lock"
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=repository) as holder:
        assert holder.stdout.readline() == "held\n"
        waited = []

        def waiting() -> None:
            waited.append(True)
            holder.kill()

        with exclusive(path, waiting):
            assert waited == [True]
    with exclusive(path, lambda: waited.append(False)):
        assert waited == [True]
