# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib
import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.server.uploads import KEEP_SECONDS, Uploads
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.messages import BeginUpload, UploadChunk

CONTENT = bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def begin(size: int = len(CONTENT), name: str = "photo.JPG", sha256: str = SHA256) -> BeginUpload:
    return BeginUpload(sha256, size, name)


def chunk(offset: int, length: int, content: bytes = CONTENT, sha256: str = SHA256) -> UploadChunk:
    return UploadChunk(sha256, offset, np.frombuffer(content[offset : offset + length], np.uint8))


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lengths=st.lists(st.integers(1, 4000), max_size=30), restart=st.sets(st.integers(0, 10)))
def test_pieces_of_any_size_arrive_whole_even_over_restarts(tmp_path_factory, lengths, restart):
    root = tmp_path_factory.mktemp("uploads")
    uploads = Uploads(root)
    state = uploads.begin(begin())
    for number, length in enumerate([*lengths, *[4000] * 10]):
        if state.complete:
            break
        if number in restart:
            uploads = Uploads(root)
            state = uploads.begin(begin())
        state = uploads.chunk(chunk(state.received, length))
    assert state.complete
    assert uploads.find(SHA256).read_bytes() == CONTENT
    assert uploads.find(SHA256).suffix == ".jpg"
    assert [path.suffix for path in root.iterdir()] == [".jpg"]


def test_a_repeated_or_skipped_piece_is_not_written(tmp_path):
    uploads = Uploads(tmp_path)
    uploads.begin(begin())
    assert uploads.chunk(chunk(0, 1000)).received == 1000
    assert uploads.chunk(chunk(0, 1000)).received == 1000
    assert uploads.chunk(chunk(5000, 1000)).received == 1000
    assert uploads.chunk(chunk(1000, 20_000)).complete
    assert uploads.begin(begin()).complete, "the same file is not sent twice"


def test_the_wrong_content_is_refused_and_deleted(tmp_path):
    uploads = Uploads(tmp_path)
    uploads.begin(begin())
    with pytest.raises(MienError) as caught:
        uploads.chunk(chunk(0, len(CONTENT), content=b"x" * len(CONTENT)))
    assert caught.value.code is ErrorCode.WRONG_HASH
    assert list(tmp_path.iterdir()) == []
    assert uploads.find(SHA256) is None


def test_more_than_announced_is_not_written(tmp_path):
    uploads = Uploads(tmp_path)
    uploads.begin(begin(size=100))
    assert uploads.chunk(chunk(0, 101)).received == 0


@pytest.mark.parametrize("size", [0, 1001])
def test_the_size_is_limited(tmp_path, size):
    with pytest.raises(MienError) as caught:
        Uploads(tmp_path, limit=1000).begin(begin(size=size))
    assert caught.value.code is ErrorCode.TOO_LARGE


def test_room_is_checked_first(tmp_path):
    with pytest.raises(MienError) as caught:
        Uploads(tmp_path, limit=1 << 62).begin(begin(size=1 << 60))
    assert caught.value.code is ErrorCode.NO_SPACE


def test_unannounced_pieces_are_refused(tmp_path):
    with pytest.raises(MienError) as caught:
        Uploads(tmp_path).chunk(chunk(0, 10))
    assert caught.value.code is ErrorCode.BAD_MESSAGE


@pytest.mark.parametrize("name", ["../../x", "a.part", "a", "a.so/../b", "x." + "y" * 50, "ü.ß"])
def test_names_cannot_be_paths(tmp_path, name):
    uploads = Uploads(tmp_path)
    uploads.begin(begin(name=name))
    uploads.chunk(chunk(0, len(CONTENT)))
    assert os.listdir(tmp_path) == [f"{SHA256}.bin"]


def test_unused_uploads_are_deleted_after_a_day(tmp_path):
    uploads = Uploads(tmp_path, clock=lambda: 0.0)
    uploads.begin(begin())
    uploads.chunk(chunk(0, len(CONTENT)))
    path = uploads.find(SHA256)
    os.utime(path, (1000, 1000))
    Uploads(tmp_path, clock=lambda: 1000.0 + KEEP_SECONDS).prune(set())
    assert path.exists()
    late = Uploads(tmp_path, clock=lambda: 1001.0 + KEEP_SECONDS)
    late.prune({SHA256})
    assert path.exists()
    late.prune(set())
    assert not path.exists()


def test_what_cannot_be_deleted_is_left(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "a.part").symlink_to(tmp_path / "gone")
    (tmp_path / "old.jpg").touch()
    Uploads(tmp_path, clock=lambda: 1e12).prune(set())
    assert not (tmp_path / "old.jpg").exists()


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_other_users_cannot_open_uploads(tmp_path):
    Uploads(tmp_path / "uploads").begin(begin())
    assert (tmp_path / "uploads").stat().st_mode & 0o077 == 0
