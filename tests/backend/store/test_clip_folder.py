# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder of a clip is found again as long as the footage is the same, and is not kept for ever."""

from __future__ import annotations

import os
import threading

import pytest

from backend.store import clip_folder as module
from backend.store.clip_folder import clip_folder, clips_dir, fingerprint, prune
from blender_addon.contract.errors import ErrorCode, MienError

ASKED = {"first": 0, "last": 9}


@pytest.fixture
def clip(tmp_path, mien_home):
    path = tmp_path / "clip é.mov"
    path.write_bytes(b"footage")
    return path


def never() -> None:
    raise AssertionError("nobody else uses the folder")


def test_the_same_footage_has_the_same_name(clip):
    assert fingerprint(clip, ASKED) == fingerprint(clip, dict(reversed(ASKED.items())))


def test_other_footage_and_other_ranges_have_other_names(clip, tmp_path):
    names = {fingerprint(clip, ASKED), fingerprint(clip, ASKED | {"last": 8})}
    clip.write_bytes(b"other footage")
    names.add(fingerprint(clip, ASKED))
    other = tmp_path / "other.mov"
    other.write_bytes(b"footage")
    names.add(fingerprint(other, ASKED))
    assert len(names) == 4


def test_one_more_numbered_picture_is_other_footage(tmp_path):
    folder = tmp_path / "shot"
    folder.mkdir()
    (folder / "a.0001.png").write_bytes(b"1")
    before = fingerprint(folder, ASKED), fingerprint(folder / "a.####.png", ASKED)
    (folder / "a.0002.png").write_bytes(b"2")
    after = fingerprint(folder, ASKED), fingerprint(folder / "a.####.png", ASKED)
    assert len({*before, *after}) == 4


def test_results_beside_numbered_pictures_are_no_other_footage(tmp_path):
    for number in range(2):
        (tmp_path / f"a.{number:04d}.png").write_bytes(b"1")
    before = fingerprint(tmp_path, ASKED), fingerprint(tmp_path / "a.####.png", ASKED)
    for name in ("a.take.npz", "a.people.png", "a.overlay.mp4", "other.0001.exr"):
        (tmp_path / name).write_bytes(b"result")
    assert before == (fingerprint(tmp_path, ASKED), fingerprint(tmp_path / "a.####.png", ASKED))
    (tmp_path / "a.0001.png").write_bytes(b"retouched")
    assert before[1] != fingerprint(tmp_path / "a.####.png", ASKED)


def test_footage_that_is_gone(tmp_path):
    with pytest.raises(MienError) as caught:
        fingerprint(tmp_path / "gone" / "a.mov", ASKED)
    assert caught.value.code is ErrorCode.MISSING_FILE


def test_what_is_kept_is_found_again(clip):
    with clip_folder("a" * 32, never) as folder:
        (folder / "kept").write_text("yes")
    with clip_folder("a" * 32, never) as folder:
        assert (folder / "kept").read_text() == "yes"


def test_a_second_capture_waits_for_the_first(clip):
    waited, entered, order = threading.Event(), threading.Event(), []

    def second() -> None:
        with clip_folder("a" * 32, waited.set):
            order.append("second")
            entered.set()

    with clip_folder("a" * 32, never):
        thread = threading.Thread(target=second)
        thread.start()
        assert waited.wait(10)
        order.append("first")
    assert entered.wait(10)
    thread.join()
    assert order == ["first", "second"]


def test_old_folders_go(clip):
    for name in ("old", "new", "used"):
        with clip_folder(name, never) as folder:
            (folder / "kept").write_text("yes")
    long_ago = 1_000_000_000
    for name in ("old", "used"):
        os.utime(clips_dir() / name, (long_ago, long_ago))
    prune(keep="used")
    assert {path.name for path in clips_dir().iterdir()} == {"new", "used"}


def test_the_oldest_go_when_all_take_too_much(clip, monkeypatch):
    monkeypatch.setattr(module, "KEEP_BYTES", 250)
    for age, name in enumerate(("newest", "middle", "oldest")):
        with clip_folder(name, never) as folder:
            (folder / "kept").write_bytes(bytes(100))
        os.utime(clips_dir() / name, (2_000_000_000 - age, 2_000_000_000 - age))
    prune()
    assert {path.name for path in clips_dir().iterdir()} == {"newest", "middle"}


def test_a_folder_in_use_stays(clip):
    with clip_folder("used", never) as folder:
        os.utime(folder, (1_000_000_000, 1_000_000_000))
        prune()
        assert folder.is_dir()
