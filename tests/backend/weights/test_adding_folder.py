# SPDX-License-Identifier: GPL-3.0-or-later
"""What a process that was killed while it added files left is removed, and nothing of one that is at work."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.progress import NoProgress
from backend.weights.adding import add
from backend.weights.adding_folder import clear_leftovers
from backend.weights.parts import parts_dir
from tests.official_files import write_fixed_displacement, zipped

ADD = """
import sys
from pathlib import Path
from backend.progress import NoProgress
from backend.weights.adding import add

class Stopping(NoProgress):
    def __call__(self, stage, done, message=""):
        if message.startswith("converting"):
            print("converting", flush=True)
            sys.stdin.read()

add([Path(sys.argv[1])], progress=Stopping())
"""


@pytest.fixture
def adding(tmp_path: Path, mien_home: Path, repository: Path) -> Iterator[subprocess.Popen]:
    """A process in the midst of a conversion out of an archive."""
    (tmp_path / "all").mkdir()
    write_fixed_displacement(tmp_path / "all" / "x.npy")
    command = [sys.executable, "-c", ADD, str(zipped(tmp_path / "all"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=repository) as process:
        assert process.stdout.readline() == "converting\n"
        yield process
        process.kill()


def hidden() -> list[str]:
    return sorted(path.name[:4] for path in parts_dir().iterdir() if path.name.startswith("."))


def kill(process: subprocess.Popen) -> None:
    process.kill()
    process.wait()
    assert len(hidden()) == 2 and any(parts_dir().glob(".adding-*/*")) and any(parts_dir().glob(".*.tmp"))


def test_the_next_one_removes_what_a_killed_one_left(tmp_path: Path, adding: subprocess.Popen) -> None:
    kill(adding)
    outcome = add([tmp_path / "all" / "x.npy"])
    assert [path.name for path in parts_dir().iterdir()] == [outcome.added[0].part.path.name]


def test_clearing_removes_what_a_killed_one_left(adding: subprocess.Popen) -> None:
    clear_leftovers()
    kill(adding)  # nothing of it was removed while it was at work
    clear_leftovers()
    assert not any(parts_dir().iterdir())


def test_the_next_one_waits_for_one_at_work(tmp_path: Path, adding: subprocess.Popen) -> None:
    class Waiting(NoProgress):
        def __call__(self, stage: str, done: float, message: str = "") -> None:
            if stage == "wait":
                kill(adding)

    add([tmp_path / "all" / "x.npy"], progress=Waiting())
    assert adding.poll() is not None and not hidden()


def test_without_a_folder_nothing_is_made(mien_home: Path) -> None:
    clear_leftovers()
    assert not mien_home.exists()
