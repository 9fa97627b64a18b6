# SPDX-License-Identifier: GPL-3.0-or-later
"""The first command: it makes what it needs, says what fails, and costs nothing once all is there."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from backend.setup.stamp import environment_python, is_ready
from blender_addon.contract.errors import EXIT_CODES, ErrorCode
from blender_addon.contract.version import VERSION


def mien(sources: Path, *arguments: str, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    environment |= {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", **variables}
    command = [sys.executable, str(sources / "scripts" / "mien.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=cwd)


@pytest.fixture
def tiny_lock(sources):
    """A lock that needs no package at all, so that only the environment itself is made."""
    lock = sources / "locks" / "runtime.txt"
    lock.write_text("# loads: json\npip\n", encoding="utf-8")
    return lock


def test_first_use_makes_the_environment_and_the_next_goes_straight_on(sources, tiny_lock, mien_home, tmp_path):
    # A file of the user's that is called like one of ours must not be taken for it.
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "backend.py").write_text("raise SystemExit('the wrong backend')", encoding="utf-8")

    first = mien(sources, "check", cwd=elsewhere)
    assert is_ready(sources / ".venv", [tiny_lock])
    assert "making a Python" in first.stderr
    # It ran inside the environment, which has none of the packages.
    assert environment_python(sources / ".venv") in first.stdout
    assert first.returncode == EXIT_CODES[ErrorCode.SETUP_FAILED]

    second = mien(sources, "check", cwd=elsewhere)
    assert second.stdout == first.stdout
    assert "making a Python" not in second.stderr


def test_help_needs_no_environment(sources):
    done = mien(sources, "--help")
    assert done.returncode == 0
    assert "capture" in done.stdout
    assert mien(sources, "--version").stdout == f"mien {VERSION}\n"
    assert not (sources / ".venv").exists()


def test_a_mistake_in_the_command_is_said_before_anything_is_installed(sources):
    done = mien(sources, "capture", "photo.jpg", "--colour", "blue")
    assert done.returncode == EXIT_CODES[ErrorCode.USAGE]
    assert done.stderr.startswith("mien: Unrecognized arguments: --colour blue.")
    assert not (sources / ".venv").exists()


def test_a_missing_photo_is_said_before_anything_is_installed(sources):
    done = mien(sources, "capture", "photo.jpg")
    assert done.returncode == EXIT_CODES[ErrorCode.MISSING_FILE]
    assert done.stderr.endswith("photo.jpg cannot be read: No such file or directory. Check the path.\n")
    assert not (sources / ".venv").exists()


def test_first_use_without_a_network(sources, mien_home):
    done = mien(sources, "check", PIP_NO_INDEX="0", PIP_INDEX_URL="http://127.0.0.1:9/simple")
    assert done.returncode == EXIT_CODES[ErrorCode.NO_NETWORK]
    last = done.stderr.splitlines()[-1]
    assert last.startswith("mien: The packages cannot be downloaded")
    assert "Traceback" not in done.stderr
    assert not (sources / ".venv").exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows ends processes without telling them")
def test_a_first_use_that_is_ended_clears_up(sources, mien_home):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and never answers
        index = f"http://127.0.0.1:{silent.getsockname()[1]}/simple"
        command = [sys.executable, "-u", sources / "scripts" / "mien.py", "check"]
        environment = os.environ | {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "0", "PIP_INDEX_URL": index}
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
            assert "making a Python" in process.stderr.readline()
            silent.settimeout(60)
            connection, _ = silent.accept()  # the packages are being fetched
            process.terminate()
            said = process.stderr.read()
            connection.close()
    assert process.returncode == EXIT_CODES[ErrorCode.CANCELLED]
    assert said.startswith("mien: Stopped")
    assert not (sources / ".venv").exists()


OLD_PYTHON = """
import sys
sys.path.insert(0, {scripts!r})
import python_version
python_version.require_supported_python(({major}, {minor}))
"""


@pytest.mark.parametrize("version", [(2, 7), (3, 6), (3, 10)])
def test_old_pythons_are_told_so(sources, version):
    code = OLD_PYTHON.format(scripts=str(sources / "scripts"), major=version[0], minor=version[1])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == EXIT_CODES[ErrorCode.SETUP_FAILED]
    assert f"this is Python {version[0]}.{version[1]}" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("script", ["mien.py", "test.py", "python_version.py"])
def test_old_pythons_can_read_the_scripts(repository, script):
    """Syntax newer than Python 2.7 would hide the message; these are the parts of it that creep in."""
    text = (repository / "scripts" / script).read_text(encoding="utf-8")
    assert "from __future__" not in text
    compile(text, script, "exec", dont_inherit=True)
    for novelty in ("f'", 'f"', ":=", "->", " async ", "nonlocal "):
        assert novelty not in text


@pytest.mark.skipif(not list(Path.home().glob(".pyenv/versions/[23].*")), reason="no old Pythons on this machine")
def test_real_old_pythons(sources):
    old = [path for path in Path.home().glob(".pyenv/versions/*/bin/python") if _minor(path) < (3, 11)]
    if not old:
        pytest.skip("no old Pythons on this machine")
    for python in old:
        command = [str(python), str(sources / "scripts" / "mien.py"), "check"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == EXIT_CODES[ErrorCode.SETUP_FAILED], python
        assert "Python 3.11 or newer" in done.stderr


def _minor(python: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in python.parent.parent.name.split(".")[:2])
