# SPDX-License-Identifier: GPL-3.0-or-later
"""Append-only files keep what was appended, whatever happens to the process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.store.records import RecordFile
from blender_addon.contract.errors import ErrorCode, MienError

DTYPE = np.dtype([("number", "<i4"), ("place", "<f8", (2,))])


def records(numbers) -> np.ndarray:
    made = np.zeros(len(numbers), DTYPE)
    made["number"] = numbers
    made["place"] = np.multiply.outer(np.asarray(numbers, float), [1.0, -2.0]).reshape(-1, 2)
    return made


@given(st.lists(st.lists(st.integers(-9, 9), max_size=5), max_size=6), st.integers(0, 9), st.integers(0, 9))
def test_what_is_read_is_what_was_appended(tmp_path_factory, parts, first, count):
    path = tmp_path_factory.mktemp("records") / "a.bin"
    file = RecordFile(path, DTYPE)
    for part in parts:
        file.append(records(part))
    everything = records([number for part in parts for number in part])
    for opened in (file, RecordFile(path, DTYPE)):
        assert len(opened) == len(everything)
        assert opened.read(first, count).tobytes() == everything[first : first + count].tobytes()
        opened.close()


@pytest.mark.parametrize("torn", [1, DTYPE.itemsize - 1])
def test_a_record_that_was_cut_off_is_dropped(tmp_path, torn):
    path = tmp_path / "a.bin"
    file = RecordFile(path, DTYPE)
    file.append(records([1, 2, 3]))
    file.close()
    os.truncate(path, path.stat().st_size - torn)
    file = RecordFile(path, DTYPE)
    assert len(file) == 2
    file.append(records([4]))
    assert file.read(0, 9)["number"].tolist() == [1, 2, 4]
    file.close()


def flipped(content: bytes) -> bytes:
    half = len(content) // 2
    return content[:half] + bytes([content[half] ^ 16]) + content[half + 1 :]


@pytest.mark.parametrize(
    ("harm", "left"),
    [
        (flipped, [1, 2]),
        (lambda content: bytes(len(content)), []),  # a block that a power cut left unwritten
        (lambda content: content + content, [1, 2, 3, 4, 5]),  # whole records, but not in their places
        (lambda content: content[: len(content) // 5 * 2] + content[len(content) // 5 * 3 :], [1, 2]),
    ],
)
def test_what_is_damaged_is_dropped_with_all_after_it(tmp_path, harm, left):
    path = tmp_path / "a.bin"
    file = RecordFile(path, DTYPE)
    file.append(records([1, 2, 3, 4, 5]))
    file.close()
    path.write_bytes(harm(path.read_bytes()))
    file = RecordFile(path, DTYPE)
    assert file.read(0, 9)["number"].tolist() == left
    file.append(records([8]))
    file.close()
    file = RecordFile(path, DTYPE)
    assert file.read(0, 9)["number"].tolist() == [*left, 8]
    file.close()


def test_records_can_be_dropped_from_the_end(tmp_path):
    file = RecordFile(tmp_path / "a.bin", DTYPE)
    file.append(records([1, 2, 3]))
    file.keep(1)
    file.append(records([7]))
    assert file.read(0, 9)["number"].tolist() == [1, 7]
    file.close()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_killed_process_loses_nothing(tmp_path):
    code = (
        "import os, signal, sys, numpy as np\n"
        "from backend.store.records import RecordFile\n"
        "file = RecordFile(__import__('pathlib').Path(sys.argv[1]), np.dtype('<i4'))\n"
        "for number in range(50): file.append(np.array([number], '<i4'))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    path = tmp_path / "a.bin"
    ended = subprocess.run([sys.executable, "-c", code, str(path)], cwd=Path(__file__).resolve().parents[3])
    assert ended.returncode == -signal.SIGKILL
    file = RecordFile(path, np.dtype("<i4"))
    assert file.read(0, 99).tolist() == list(range(50))
    file.close()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_told(tmp_path, monkeypatch):
    file = RecordFile(tmp_path / "a.bin", DTYPE)
    file.append(records([1]))
    whole, full = file._file, open("/dev/full", "r+b", buffering=0)  # noqa: SIM115

    class Full:
        def __getattr__(self, name):
            return getattr(full if name == "write" else whole, name)

    file._file = Full()
    with pytest.raises(MienError) as caught:
        file.append(records([2]))
    assert caught.value.code is ErrorCode.NO_SPACE
    assert str(tmp_path / "a.bin") in caught.value.message
    file._file = whole
    full.close()
    assert file.read(0, 9)["number"].tolist() == [1]
    file.close()
