# SPDX-License-Identifier: GPL-3.0-or-later
"""What counts as a whole environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.setup.stamp import STAMP, UNFINISHED, environment_python, is_ready, lock_hashes, write_stamp


@pytest.fixture
def environment(tmp_path):
    folder = tmp_path / "env"
    python = Path(environment_python(folder))
    python.parent.mkdir(parents=True)
    python.touch()
    return folder


@pytest.fixture
def locks(tmp_path):
    paths = [tmp_path / "one.txt", tmp_path / "two.txt"]
    for path in paths:
        path.write_bytes(b"a==1\nb==2\n" + path.name.encode())
    return paths


def test_ready_for_its_locks_and_for_fewer(environment, locks):
    assert not is_ready(environment, locks)
    write_stamp(environment, locks)
    assert is_ready(environment, locks)
    assert is_ready(environment, locks[:1])


def test_not_ready_for_more_locks_or_changed_ones(environment, locks):
    write_stamp(environment, locks[:1])
    assert not is_ready(environment, locks)
    locks[0].write_bytes(b"a==2\n")
    assert not is_ready(environment, locks[:1])


def test_not_ready_when_left_unfinished(environment, locks):
    write_stamp(environment, locks)
    (environment / UNFINISHED).touch()
    assert not is_ready(environment, locks)


def test_not_ready_without_its_python(environment, locks):
    write_stamp(environment, locks)
    Path(environment_python(environment)).unlink()
    assert not is_ready(environment, locks)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"locks": 3}', b'{"other": {}}', b"\xff"])
def test_damaged_stamp_is_no_stamp(environment, locks, content):
    (environment / STAMP).write_bytes(content)
    assert not is_ready(environment, locks)


def test_line_ends_do_not_count(tmp_path):
    lock = tmp_path / "lock.txt"
    lock.write_bytes(b"a==1\nb==2\n")
    unix = lock_hashes([lock])
    lock.write_bytes(b"a==1\r\nb==2\r\n")
    assert lock_hashes([lock]) == unix
