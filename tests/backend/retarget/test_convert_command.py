# SPDX-License-Identifier: GPL-3.0-or-later
"""`mien convert` as it is typed, and what exports make of the result."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backend.cli import main
from backend.exports.livelink import read_livelink
from blender_addon.contract.arkit import arkit_curves
from blender_addon.contract.errors import EXIT_CODES, ErrorCode
from blender_addon.contract.head import HeadDescription
from blender_addon.contract.take import Take
from tests.arkit_takes import arkit_take
from tests.face_flame import write_model
from tests.fake_flame import flame_take, write_flame


@pytest.fixture
def shot(tmp_path: Path) -> Path:
    path = tmp_path / "shot.take.npz"
    arkit_take(10).save(path)
    return path


@pytest.fixture
def flame_shot(tmp_path: Path, face: HeadDescription) -> Path:
    path = tmp_path / "flame.take.npz"
    rng = np.random.default_rng(0)
    flame_take(face, 8, expression=rng.normal(0, 0.7, (8, 100)).astype("f4")).save(path)
    return path


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.is_file()}


def test_to_another_head(known, shot: Path, face_file: Path, face: HeadDescription, capsys) -> None:
    assert run("convert", shot, "--to-head", face_file) == 0
    assert names(shot.parent) == {shot.name, "shot.flame2020.take.npz", "shot.flame2020.convert.json"}
    said = capsys.readouterr().out
    assert "mm" in said and "commercial use: no" in said
    report = json.loads((shot.parent / "shot.flame2020.convert.json").read_text())
    assert 0 < report["residual_mm"]["mean"] < report["residual_mm"]["p95"] < 3
    made = Take.load(report["take"])
    made.require_head(face)
    assert len(made) == 10


def test_and_back_with_json(known, shot: Path, face_file: Path, tmp_path: Path, capsys) -> None:
    there, back = tmp_path / "there.take.npz", tmp_path / "back.take.npz"
    assert run("convert", shot, "--to-head", face_file, "--out", there) == 0
    capsys.readouterr()
    assert run("convert", there, "--to-head", "open", "--head", face_file, "--out", back, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["take"] == str(back) and report["head_id"] == "open" and report["from_head"] == "flame2020"
    assert (tmp_path / "back.convert.json").exists()


def test_arkit_then_exports(known, flame_shot: Path, face_file: Path, tmp_path: Path, capsys) -> None:
    """A take on FLAME goes to every format of ARKit's channels once it has the weights."""
    formats = "livelink,arkit-csv,arkit-json,facs,vrm,vrma,vrma-arkit"
    assert run("export", flame_shot, "--to", formats) == EXIT_CODES[ErrorCode.CANNOT_EXPORT]
    assert "mien convert --arkit" in capsys.readouterr().err
    assert run("convert", "--arkit", flame_shot, "--head", face_file) == 0
    made = Take.load(flame_shot)
    assert made.extra["arkit"].max() > 0.1
    assert run("export", flame_shot, "--to", formats, "--out", tmp_path / "out") == 0
    read = read_livelink(tmp_path / "out" / "flame.livelink.csv")
    np.testing.assert_allclose(read.curves.weights, arkit_curves(made).weights, atol=1e-6)


def test_arkit_to_another_file_from_a_neutral_frame(known, flame_shot: Path, face_file: Path, tmp_path: Path) -> None:
    before, out = flame_shot.read_bytes(), tmp_path / "with.take.npz"
    assert run("convert", flame_shot, "--arkit", "--neutral", 3, "--head", face_file, "--out", out) == 0
    assert flame_shot.read_bytes() == before
    weights = Take.load(out).extra["arkit"]
    looks = [index for index in range(52) if index in range(1, 5) or index in range(8, 12)]
    assert np.delete(weights[2], looks).max() < 0.02


def test_maps_are_found_from_another_folder(known, flame_shot: Path, face_file: Path, tmp_path: Path) -> None:
    take = Take.load(flame_shot)
    replace(take, meta=replace(take.meta, displacement=("maps/a.exr",) * len(take))).save(flame_shot)
    (tmp_path / "sub").mkdir()
    out = tmp_path / "sub" / "moved.take.npz"
    assert run("convert", flame_shot, "--arkit", "--head", face_file, "--out", out) == 0
    assert Take.load(out).meta.displacement[0] == "../maps/a.exr"


def test_maps_on_another_drive(
    known, flame_shot: Path, face_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    """Of another mesh maps are left out, wherever they are."""

    def other_drive(path: object, start: object) -> str:
        raise ValueError("path is on mount 'C:', start on mount 'D:'")

    take = Take.load(flame_shot)
    replace(take, meta=replace(take.meta, displacement=("maps/a.exr",) * len(take))).save(flame_shot)
    (tmp_path / "sub").mkdir()
    out = tmp_path / "sub" / "moved.take.npz"
    monkeypatch.setattr("backend.retarget.run.os.path.relpath", other_drive)
    code = EXIT_CODES[ErrorCode.USAGE]
    assert run("convert", flame_shot, "--arkit", "--head", face_file, "--out", out) == code
    assert f"{out} is on another drive" in capsys.readouterr().err
    same = write_model(tmp_path / "flame2023.pkl", seed=1)
    assert run("convert", flame_shot, "--to-head", same, "--head", face_file, "--out", out) == code
    assert not names(out.parent)
    assert run("convert", flame_shot, "--to-head", "open", "--head", face_file, "--out", out) == 0
    assert not Take.load(out).meta.displacement


def test_import_adds_the_weights(known, flame_shot: Path, face_file: Path, tmp_path: Path) -> None:
    assert run("export", flame_shot, "--to", "vhap") == 0
    out = tmp_path / "again.take.npz"
    arguments = ("--as-take", "--head", face_file, "--size", "1280x720", "--out", out)
    assert run("import", tmp_path / "flame.vhap.npz", *arguments) == 0
    assert Take.load(out).extra["arkit"].shape == (8, 52)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--to-head", "FACE"], ErrorCode.USAGE, "nothing to convert"),
        (["--to-head", "open", "--head", "OTHER"], ErrorCode.WRONG_HEAD, "releases of FLAME differ"),
        (["--to-head", "open", "--neutral", "1", "--head", "FACE"], ErrorCode.USAGE, "only for --arkit"),
        (["--arkit", "--neutral", "99", "--head", "FACE"], ErrorCode.USAGE, "from 1 to 8"),
        (["--arkit", "--head", "OTHER"], ErrorCode.WRONG_HEAD, "is not the head of this take"),
        (["--to-head", "open", "--head", "FACE", "--out", "SELF"], ErrorCode.USAGE, "over itself"),
        ([], ErrorCode.USAGE, "--to-head"),
        (["--to-head", "missing.pkl", "--head", "FACE"], ErrorCode.MISSING_FILE, "missing.pkl"),
    ],
)
def test_refused(known, flame_shot: Path, face_file: Path, tmp_path: Path, arguments, code, said, capsys) -> None:
    other = write_model(tmp_path / "generic_model.pkl", seed=1)
    stand_ins = {"FACE": str(face_file), "OTHER": str(other), "SELF": str(flame_shot)}
    before = names(flame_shot.parent)
    assert run("convert", flame_shot, *[stand_ins.get(word, word) for word in arguments]) == EXIT_CODES[code]
    assert said in capsys.readouterr().err
    assert names(flame_shot.parent) == before


def test_nothing_to_add_to_arkits_own_channels(shot: Path, capsys) -> None:
    assert run("convert", shot, "--arkit") == EXIT_CODES[ErrorCode.USAGE]
    assert "nothing to add" in capsys.readouterr().err


def test_a_head_that_is_not_here(flame_shot: Path, mien_home: Path, capsys) -> None:
    assert run("convert", flame_shot, "--to-head", "open") == EXIT_CODES[ErrorCode.WRONG_HEAD]
    assert "mien models add" in capsys.readouterr().err


def test_what_is_no_face(shot: Path, tmp_path: Path, capsys) -> None:
    noise = write_flame(tmp_path / "flame2020.npz")
    assert run("convert", shot, "--to-head", noise) == EXIT_CODES[ErrorCode.BAD_HEAD]
    assert "does not look like a face" in capsys.readouterr().err
    assert names(tmp_path) == {shot.name, noise.name}
