# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files of a folder are shots, and what the shots are called."""

from __future__ import annotations

import os
import sys

import pytest

from backend.batch.discover import find_sources
from backend.batch.plan import Shard, shots_of_folder
from blender_addon.contract.errors import ErrorCode, MienError


@pytest.fixture
def shots(tmp_path, pictures):
    folder = tmp_path / "shots"
    pictures(folder / "seq", "plate.{:04}.png", range(1001, 1007))
    pictures(folder / "seq", "other_{}.png", range(1, 6))
    pictures(folder / "stills", "IMG_{:04}.jpg", range(3))
    for name in ("a.mov", "deep/er/b.MP4", "deep/c.mp4", "c.overlay.mp4", ".hidden.mov", "notes.txt", ".git/d.mov"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"stands for a clip")
    return folder


def test_photos_clips_and_sequences(shots, tmp_path):
    found = [path.relative_to(shots).as_posix() for path in find_sources(shots, tmp_path / "out")]
    stills = [f"stills/IMG_{number:04}.jpg" for number in range(3)]
    assert found == ["a.mov", "deep/c.mp4", "deep/er/b.MP4", "seq/other_#.png", "seq/plate.####.png", *stills]


def test_a_row_with_most_numbers_missing_is_single_photos(tmp_path, pictures):
    for number in (3, 40, 77, 900, 1200):
        pictures(tmp_path, "IMG_{:04}.jpg", range(number, number + 1))
    assert len(find_sources(tmp_path, tmp_path / "out")) == 5


def test_the_results_are_not_looked_into(shots):
    (shots / "done" / "a").mkdir(parents=True)
    (shots / "done" / "a" / "z.mov").write_bytes(b"")
    assert not [path for path in find_sources(shots, shots / "done") if "done" in path.parts]


@pytest.mark.skipif(sys.platform == "win32", reason="needs rights for links there")
def test_links_that_go_round_end(shots, tmp_path):
    os.symlink(shots, shots / "deep" / "round")
    found = find_sources(shots, tmp_path / "out")
    assert len(found) == len(set(map(os.path.realpath, found))) == 8


def test_nothing_there(tmp_path):
    with pytest.raises(MienError) as caught:
        find_sources(tmp_path, tmp_path / "out")
    assert caught.value.code is ErrorCode.USAGE and str(tmp_path) in caught.value.message
    with pytest.raises(MienError) as caught:
        find_sources(tmp_path / "nowhere", tmp_path / "out")
    assert caught.value.code is ErrorCode.MISSING_FILE


def test_names_mirror_the_folders_and_are_unique_without_regard_to_case(tmp_path, common):
    folder = tmp_path / "shots"
    folder.mkdir()
    for name in ("clip.mov", "CLIP.mp4", "batch.csv.mov", "one: two?.mov", "aux.mov"):
        (folder / name).write_bytes(b"")
    names = [shot.name for shot in shots_of_folder(folder, tmp_path / "out", common)]
    assert names == ["CLIP_mp4", "_aux", "batch.csv_mov", "clip_mov", "one_ two_"]


@pytest.mark.parametrize("out", [".", "..", "shots/../shots"])
def test_sources_among_the_results_are_refused(tmp_path, common, out):
    folder = tmp_path / "shots"
    folder.mkdir()
    (folder / "a.mov").write_bytes(b"")
    with pytest.raises(MienError) as caught:
        shots_of_folder(folder, folder / out if out != "shots/../shots" else tmp_path / out, common)
    assert caught.value.code is ErrorCode.USAGE and "where the results go" in caught.value.message


@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_shards_are_a_partition(count):
    shots = list(range(8))
    parts = [Shard(number, count).of(shots) for number in range(1, count + 1)]
    assert sorted(shot for part in parts for shot in part) == shots
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
