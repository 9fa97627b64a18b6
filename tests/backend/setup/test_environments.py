# SPDX-License-Identifier: GPL-3.0-or-later
"""Environments are whole or absent, and are made once."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from backend.setup import environments
from backend.setup.environments import ensure_environment
from backend.setup.interpreters import Interpreter, this_interpreter
from backend.setup.stamp import STAMP, UNFINISHED, environment_python, is_ready
from blender_addon.contract.errors import ErrorCode, MienError


def write_lock(path: Path, *requirements: str, loads: str = "") -> Path:
    path.write_text("\n".join([f"# loads: {loads}", *requirements]) + "\n", encoding="utf-8")
    return path


def installed_version(python: str, module: str) -> str:
    return subprocess.check_output([python, "-c", f"import {module}; print({module}.VERSION)"], text=True).strip()


def test_life_of_an_environment(index, tmp_path, progress):
    """Made, found again, brought up to date, mended after a kill: one environment, as making one takes seconds."""
    index.add("mientiny", "1.0")
    index.add("mientiny", "2.0")
    folder = tmp_path / "env"
    lock = write_lock(tmp_path / "lock.txt", "mientiny==1.0", loads="mientiny")
    here = this_interpreter()

    python = ensure_environment(folder, [lock], here, progress)
    assert installed_version(python, "mientiny") == "1.0"
    assert any("mientiny 1.0" in message for message in progress.messages)
    assert progress.steps[-1][1] == 1.0
    assert is_ready(folder, [lock])

    progress.steps.clear()
    assert ensure_environment(folder, [lock], here, progress) == python
    assert progress.steps == []

    write_lock(lock, "mientiny==2.0", loads="mientiny")
    assert not is_ready(folder, [lock])
    ensure_environment(folder, [lock], here, progress)
    assert installed_version(python, "mientiny") == "2.0"

    # What a kill in the middle of an installation leaves: the mark, and packages in any state.
    (folder / UNFINISHED).touch()
    (folder / "debris").touch()
    assert not is_ready(folder, [lock])
    ensure_environment(folder, [lock], here, progress)
    assert not (folder / "debris").exists()
    assert installed_version(python, "mientiny") == "2.0"

    # An environment whose Python has gone, as after an upgrade of the system.
    interpreter = Path(environment_python(folder))
    interpreter.unlink()
    assert not is_ready(folder, [lock])
    ensure_environment(folder, [lock], here, progress)
    assert installed_version(python, "mientiny") == "2.0"


def test_foreign_environment_is_kept_and_gets_the_packages(index, tmp_path, progress):
    index.add("mientiny", "1.0")
    folder = tmp_path / ".venv"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    (folder / "something-of-the-user").touch()
    lock = write_lock(tmp_path / "lock.txt", "mientiny==1.0", loads="mientiny")

    python = ensure_environment(folder, [lock], this_interpreter(), progress)

    assert installed_version(python, "mientiny") == "1.0"
    assert (folder / "something-of-the-user").exists()


def test_a_folder_that_is_no_environment_is_not_touched(tmp_path, progress, mien_home):
    folder = tmp_path / ".venv"
    folder.mkdir()
    (folder / "holiday.jpg").write_bytes(b"precious")
    with pytest.raises(MienError, match="not a Python environment") as caught:
        ensure_environment(folder, [write_lock(tmp_path / "lock.txt")], this_interpreter(), progress)
    assert caught.value.code is ErrorCode.SETUP_FAILED
    assert (folder / "holiday.jpg").read_bytes() == b"precious"


def test_failed_installation_leaves_no_environment(index, tmp_path, progress):
    folder = tmp_path / "env"
    lock = write_lock(tmp_path / "lock.txt", "mienabsent==1.0")
    with pytest.raises(MienError) as caught:
        ensure_environment(folder, [lock], this_interpreter(), progress)
    assert caught.value.code is ErrorCode.SETUP_FAILED
    assert "mienabsent==1.0" in caught.value.message
    assert not folder.exists()


def test_a_missing_system_library_is_named_and_the_next_try_goes_on_from_there(index, tmp_path, progress):
    body = "import pathlib\nif not pathlib.Path(__file__).with_name('library').exists():\n    "
    body += "raise ImportError('libEGL.so.1: cannot open shared object file: No such file or directory')"
    index.add("mienbroken", "1.0", body)
    folder = tmp_path / "env"
    lock = write_lock(tmp_path / "lock.txt", "mienbroken==1.0", loads="mienbroken")
    with pytest.raises(MienError, match=r"libEGL\.so\.1 is missing") as caught:
        ensure_environment(folder, [lock], this_interpreter(), progress)
    assert caught.value.code is ErrorCode.SETUP_FAILED
    assert not is_ready(folder, [lock])

    progress.steps.clear()
    (installed,) = folder.glob("**/mienbroken.py")
    installed.with_name("library").touch()
    ensure_environment(folder, [lock], this_interpreter(), progress)
    assert is_ready(folder, [lock])
    assert not any("making" in message for message in progress.messages)


def test_no_network_is_said_in_one_sentence(bare_pip, mien_home, tmp_path, progress, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # nobody listens there
    folder = tmp_path / "env"
    with pytest.raises(MienError) as caught:
        ensure_environment(folder, [write_lock(tmp_path / "lock.txt", "mientiny==1.0")], this_interpreter(), progress)
    assert caught.value.code is ErrorCode.NO_NETWORK
    assert "internet" in caught.value.remedy
    assert not folder.exists()


def test_a_python_without_its_venv_part_is_refused(tmp_path, progress, mien_home):
    bare = Interpreter(sys.executable, (3, 11, 2), complete=False)
    with pytest.raises(MienError, match="venv part is missing") as caught:
        ensure_environment(tmp_path / "env", [write_lock(tmp_path / "lock.txt")], bare, progress)
    assert caught.value.code is ErrorCode.SETUP_FAILED
    assert not (tmp_path / "env").exists()


def test_a_place_that_cannot_be_written_is_refused(tmp_path, progress, mien_home):
    (tmp_path / "file").touch()
    with pytest.raises(MienError) as caught:
        ensure_environment(tmp_path / "file" / "env", [], this_interpreter(), progress)
    assert caught.value.code is ErrorCode.NOT_PERMITTED
    assert str(tmp_path / "file") in caught.value.message


def test_two_first_uses_at_once_make_one_environment(tmp_path, progress, monkeypatch, mien_home):
    lock = write_lock(tmp_path / "lock.txt")
    made: list[Path] = []
    started = threading.Event()

    def slowly(folder: Path, *_: object) -> None:
        made.append(folder)
        started.set()
        while not any("waiting" in message for message in progress.messages):
            pass
        python = Path(environment_python(folder))
        python.parent.mkdir(parents=True)
        python.touch()
        environments.write_stamp(folder, [lock])

    monkeypatch.setattr(environments, "_make", slowly)
    arguments = (tmp_path / "env", [lock], this_interpreter(), progress)
    first = threading.Thread(target=ensure_environment, args=arguments)
    first.start()
    assert started.wait(10)
    ensure_environment(*arguments)
    first.join()
    assert made == [tmp_path / "env"]


@pytest.mark.parametrize("step", ["_make_bare", "pip_install", "check_imports"])
def test_a_stop_at_any_step_leaves_nothing_that_looks_whole(tmp_path, progress, monkeypatch, mien_home, step):
    folder = tmp_path / "env"

    def stop(*_: object) -> None:
        assert not (folder / STAMP).exists()
        raise KeyboardInterrupt

    for name in ("_make_bare", "pip_install", "check_imports"):
        monkeypatch.setattr(environments, name, stop if name == step else lambda *_: None)
    with pytest.raises(KeyboardInterrupt):
        ensure_environment(folder, [write_lock(tmp_path / "lock.txt")], this_interpreter(), progress)
    assert folder.exists() == (step == "check_imports")
    assert not (folder / STAMP).exists()
