# SPDX-License-Identifier: GPL-3.0-or-later
"""The backend's environment keeps what was added to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.setup import environments
from backend.setup.runtime import ENVIRONMENT, RAY_LOCK, ensure_runtime
from backend.setup.stamp import environment_python, is_ready, write_stamp


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Sources with three locks and an environment that was made from the first."""
    (tmp_path / "locks").mkdir()
    for name in ("runtime.txt", "test.txt", RAY_LOCK):
        (tmp_path / "locks" / name).write_text(f"# {name}\na==1\n")
    python = Path(environment_python(tmp_path / ENVIRONMENT))
    python.parent.mkdir(parents=True)
    python.touch()
    return tmp_path


@pytest.fixture
def installed(monkeypatch):
    """Lists of locks that were installed; the installing is left out."""
    asked = []

    def install(folder, locks, interpreter, progress):
        if not is_ready(folder, locks):
            asked.append([lock.name for lock in locks])
            write_stamp(folder, locks)
        return environment_python(folder)

    monkeypatch.setattr(environments, "ensure_environment", install)
    return asked


def test_what_was_added_stays_in_step(root, installed):
    ensure_runtime(root, None)
    ensure_runtime(root, None, (RAY_LOCK,))
    ensure_runtime(root, None, ("test.txt",))
    ensure_runtime(root, None)
    assert installed == [["runtime.txt"], ["runtime.txt", "ray.txt"], ["runtime.txt", "test.txt", "ray.txt"]]
    (root / "locks" / "runtime.txt").write_text("a==2\n")
    ensure_runtime(root, None)
    assert sorted(installed[-1]) == ["ray.txt", "runtime.txt", "test.txt"]
    assert installed[-1][0] == "runtime.txt"


def test_a_lock_that_is_no_more_is_forgotten(root, installed):
    ensure_runtime(root, None, (RAY_LOCK,))
    (root / "locks" / RAY_LOCK).unlink()
    ensure_runtime(root, None, ("test.txt",))
    assert installed[-1] == ["runtime.txt", "test.txt"]
