# SPDX-License-Identifier: GPL-3.0-or-later
"""What a take cannot be written to, where it says what it comes from, and that nothing is left half-written."""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backend import outputs
from backend.exports import formats
from backend.exports.formats import SCENE_FORMATS, TAKE_FORMATS, check_formats, export_take
from backend.exports.json_files import read_json
from backend.exports.vrma import read_provenance
from blender_addon.contract import files
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.head import HeadDescription
from blender_addon.contract.provenance import provenance
from blender_addon.contract.take import Take
from tests.arkit_takes import arkit_take
from tests.fake_flame import flame_take

FLAME = ("vhap", "gaussian-avatars")
ANY_HEAD = ("npz", "motion")
ARKIT = tuple(name for name in TAKE_FORMATS if name not in (*FLAME, *ANY_HEAD))


@pytest.fixture
def take_for(flame: HeadDescription) -> Callable[[str], Take]:
    return lambda name: flame_take(flame) if name in FLAME else arkit_take()


def listing(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*")}


def test_formats_are_checked_by_name() -> None:
    assert check_formats(["npz", "usd"]) == ("npz", "usd")
    assert not set(TAKE_FORMATS) & set(SCENE_FORMATS)
    with pytest.raises(MienError, match="no format 'bvh'") as caught:
        check_formats(["npz", "bvh"])
    assert caught.value.code is ErrorCode.USAGE


def test_suffixes_are_distinct() -> None:
    suffixes = [*(form.suffix for form in TAKE_FORMATS.values()), *SCENE_FORMATS.values()]
    assert len(suffixes) == len(set(suffixes))


@pytest.mark.parametrize("name", ARKIT)
def test_a_flame_head_has_no_arkit_channels(name: str, flame: HeadDescription, tmp_path: Path) -> None:
    with pytest.raises(MienError, match="'flame2020'.*are not ARKit's") as caught:
        export_take(flame_take(flame), name, tmp_path, "shot")
    assert caught.value.code is ErrorCode.CANNOT_EXPORT
    assert not listing(tmp_path)


@pytest.mark.parametrize("name", FLAME)
def test_the_open_head_is_no_flame(name: str, tmp_path: Path) -> None:
    with pytest.raises(MienError, match="coefficients of one head mean nothing on another") as caught:
        export_take(arkit_take(), name, tmp_path, "shot")
    assert caught.value.code is ErrorCode.CANNOT_EXPORT
    assert not listing(tmp_path)


def test_a_camera_that_vhap_cannot_tell(flame: HeadDescription, tmp_path: Path) -> None:
    beside = np.array([[1500.0, 0, 600], [0, 1500, 360], [0, 0, 1]])
    take = flame_take(flame, camera_matrix=beside)
    with pytest.raises(MienError, match="looks past the middle") as caught:
        export_take(take, "vhap", tmp_path, "shot")
    assert caught.value.code is ErrorCode.CANNOT_EXPORT
    export_take(take, "gaussian-avatars", tmp_path, "shot")


def carried(path: Path) -> dict[str, object]:
    """What a file itself says about its origin."""
    if path.is_dir():
        return read_json(path / "transforms.json").table("mien")
    if path.suffix == ".vrma":
        return read_provenance(path)
    if path.suffix == ".json":
        return read_json(path).table("mien")
    with np.load(path, allow_pickle=False) as arrays:
        if "meta" in arrays:
            return provenance(Take.load(path).meta)
        return json.loads(str(arrays["mien"]))


@pytest.mark.parametrize("name", TAKE_FORMATS)
def test_every_format_tells_its_origin(name: str, take_for, tmp_path: Path) -> None:
    take = take_for(name)
    written = export_take(take, name, tmp_path, "shot")
    expected = provenance(take.meta)
    assert {"head_id", "head_sha256", "engine", "versions", "licences", "commercial_use", "source"} <= set(expected)
    assert written[0].name == f"shot{TAKE_FORMATS[name].suffix}"
    if TAKE_FORMATS[name].carries_provenance:
        assert len(written) == 1
        found = carried(written[0])
    else:
        assert written[1].name == f"{written[0].name}.json"
        found = json.loads(written[1].read_text())
    assert {key: found[key] for key in expected} == expected
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in written}


@pytest.mark.parametrize("name", TAKE_FORMATS)
def test_the_same_take_gives_the_same_bytes(name: str, take_for, tmp_path: Path, monkeypatch) -> None:
    for folder, year in (("one", 2000), ("two", 2001)):
        (tmp_path / folder).mkdir()
        monkeypatch.setattr(time, "localtime", lambda *_, year=year: time.struct_time((year, 1, 1, 0, 0, 0, 0, 1, 0)))
        export_take(take_for(name), name, tmp_path / folder, "shot")
    names = {path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file()}
    assert names
    for inner in names:
        assert (tmp_path / "one" / inner).read_bytes() == (tmp_path / "two" / inner).read_bytes()


@pytest.mark.parametrize("name", TAKE_FORMATS)
@pytest.mark.parametrize("writes", [0, 1, 3])
def test_a_full_disk_leaves_what_was_there(name: str, writes: int, take_for, tmp_path: Path, monkeypatch) -> None:
    take = take_for(name)
    export_take(take, name, tmp_path, "shot")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    real, count = os.fsync, 0

    def full(descriptor: int) -> None:
        nonlocal count
        count += 1
        if count > writes:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(files.os, "fsync", full)
    changed = replace(take, jaw=take.jaw * np.float32(0.5))
    try:
        export_take(changed, name, tmp_path, "shot")
    except MienError as error:
        assert error.code is ErrorCode.NO_SPACE
        assert str(tmp_path / "shot") in error.message
        assert ".mien-" not in error.message
        assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    else:
        assert count <= writes, "all was written before the disk was full"


def test_a_folder_is_replaced_only_if_mien_wrote_it(flame: HeadDescription, tmp_path: Path) -> None:
    target = tmp_path / "shot.gaussian-avatars"
    target.mkdir()
    (target / "mine.txt").write_text("keep")
    with pytest.raises(MienError, match="Mien did not write it") as caught:
        export_take(flame_take(flame), "gaussian-avatars", tmp_path, "shot")
    assert caught.value.code is ErrorCode.NOT_PERMITTED
    assert listing(target) == {"mine.txt"}
    (target / "mine.txt").unlink()
    target.rmdir()
    export_take(flame_take(flame, 12), "gaussian-avatars", tmp_path, "shot")
    export_take(flame_take(flame, 3), "gaussian-avatars", tmp_path, "shot")
    assert len(list((target / "flame_param").iterdir())) == 3
    assert {path.name for path in tmp_path.iterdir()} == {target.name}


def test_a_folder_stays_where_its_successor_cannot_take_its_place(flame, tmp_path: Path, monkeypatch) -> None:
    (target,) = export_take(flame_take(flame, 4), "gaussian-avatars", tmp_path, "shot")
    before, real = listing(target), os.replace

    def refuse(source, to):
        if Path(to) == target and Path(source).name == target.name:
            raise OSError(errno.EACCES, "Permission denied")
        real(source, to)

    monkeypatch.setattr(outputs.os, "replace", refuse)
    with pytest.raises(MienError) as caught:
        export_take(flame_take(flame, 2), "gaussian-avatars", tmp_path, "shot")
    assert caught.value.code is ErrorCode.NOT_PERMITTED
    assert listing(target) == before


def test_weights_are_cut_to_what_programs_expect(tmp_path: Path) -> None:
    take = arkit_take(3)
    wild = replace(take, expression=take.expression * np.float32(3) - np.float32(1), jaw=-take.jaw)
    for name in ("livelink", "arkit-csv"):
        text = export_take(wild, name, tmp_path, "shot")[0].read_text().splitlines()[1:]
        weights = np.array([[float(cell) for cell in line.split(",")[2:54]] for line in text])
        assert 0 <= weights.min() and weights.max() <= 1


def test_a_still_goes_to_every_format(flame: HeadDescription, tmp_path: Path) -> None:
    for name in TAKE_FORMATS:
        take = flame_take(flame, 1) if name in FLAME else arkit_take(1)
        assert all(path.exists() for path in export_take(take, name, tmp_path, "still"))


def test_no_folder_to_write_to(tmp_path: Path) -> None:
    with pytest.raises(MienError) as caught:
        formats.export_take(arkit_take(2), "facs", tmp_path / "none", "shot")
    assert caught.value.code is ErrorCode.MISSING_FILE
