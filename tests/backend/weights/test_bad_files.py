# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong with downloads: each gets a sentence and a remedy, and nothing is left behind."""

from __future__ import annotations

import os
import pickle
import resource
import shutil
import signal
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from backend.weights import restricted, trees
from backend.weights.adding import add
from backend.weights.parts import parts, parts_dir
from blender_addon.contract.errors import ErrorCode, MienError
from tests.backend.weights.hostile import HOSTILE
from tests.official_files import (
    smirk_state,
    write_emoca_checkpoint,
    write_emotion_mlp,
    write_fixed_displacement,
    write_flame_masks,
    write_flame_model,
    write_smirk,
)  # fmt: skip


@pytest.fixture(scope="module")
def smirk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_smirk(tmp_path_factory.mktemp("smirk") / "SMIRK_em1.pt", translator=False)


def refused(path: Path, cause: str | None = None, code: ErrorCode = ErrorCode.BAD_WEIGHTS) -> MienError:
    """The only problem with a file, which left nothing."""
    outcome = add([path])
    assert not outcome.added
    assert len(outcome.problems) == 1, outcome.unknown
    problem = outcome.problems[0]
    assert problem.code is code
    assert path.name in problem.message
    assert problem.message.endswith(".") and problem.remedy.endswith(".")
    if cause:
        assert problem.details["cause"] == cause
    nothing_left()
    return problem


def nothing_left() -> None:
    assert not parts()
    assert list(parts_dir().iterdir()) == []


@pytest.mark.parametrize("share", [0.001, 0.5, 0.98])
@pytest.mark.parametrize("legacy", [False, True])
def test_half_a_download(tmp_path: Path, mien_home: Path, smirk: Path, share: float, legacy: bool) -> None:
    whole = write_smirk(tmp_path / "old.pt", translator=False, legacy=True) if legacy else smirk
    path = tmp_path / "SMIRK_em1.pt"
    path.write_bytes(whole.read_bytes()[: int(share * whole.stat().st_size)])
    refused(path, "damaged")


def test_half_a_zip(tmp_path: Path, mien_home: Path, smirk: Path) -> None:
    path = tmp_path / "all.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(smirk, "SMIRK_em1.pt")
    path.write_bytes(path.read_bytes()[:-5000])
    assert "only part of a file" in refused(path, "damaged").message


def test_a_bit_that_fell_over(tmp_path: Path, mien_home: Path, smirk: Path) -> None:
    content = bytearray(smirk.read_bytes())
    content[len(content) // 2] ^= 255
    path = tmp_path / "SMIRK_em1.pt"
    path.write_bytes(content)
    refused(path, "damaged")


@pytest.mark.parametrize("name", HOSTILE)
def test_pickles_that_run_something(tmp_path: Path, mien_home: Path, name: str) -> None:
    for form in ("model.pt", "bare.pt", "generic_model.pkl"):
        place = tmp_path / form
        evil = HOSTILE[name](str(tmp_path / "trace"))
        if form == "model.pt":
            torch.save({"smirk_encoder.x": torch.ones(2), "more": evil}, place)
        else:
            place.write_bytes(pickle.dumps(evil, protocol=0 if form == "bare.pt" else 2))
        refused(place, "code")
    assert not (tmp_path / "trace").exists()


def test_a_pickle_bomb(tmp_path: Path, mien_home: Path) -> None:
    path = tmp_path / "deca_model.pt"
    path.write_bytes(b"\x80\x02cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R.")
    refused(path, "code")


@pytest.mark.parametrize(
    ("content", "cause", "word"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 1234\n", "pointer", "Git LFS"),
        (b"\n<!DOCTYPE html><html><title>Login</title></html>", "page", "web page"),
        (b"<html><body>Virus scan warning</body></html>", "page", "web page"),
        (b"", "empty", "empty"),
    ],
)
@pytest.mark.parametrize("name", ["SMIRK_em1.pt", "FLAME2020.zip", "head_template.obj", "uv_face_mask.png"])
def test_something_else_in_its_place(
    tmp_path: Path, mien_home: Path, name: str, content: bytes, cause: str, word: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert word in refused(path, cause).message


def test_an_encoder_of_another_size(tmp_path: Path, mien_home: Path) -> None:
    state = smirk_state(translator=False)
    name = "smirk_encoder.expression_encoder.expression_layers.0.weight"
    state[name] = torch.zeros(105, 960)
    del state["smirk_encoder.pose_encoder.encoder.bn1.weight"]
    state["smirk_encoder.extra.weight"] = torch.zeros(3)
    torch.save(state, tmp_path / "SMIRK.pt")
    problem = refused(tmp_path / "SMIRK.pt", "mismatch")
    assert "105x960 instead of 55x960" in problem.message
    assert problem.details["missing"] == ["encoder.pose_encoder.encoder.bn1.weight"]
    assert problem.details["strange"] == ["encoder.extra.weight"]


def test_emotion_networks_of_another_size(tmp_path: Path, mien_home: Path) -> None:
    problem = refused(write_emotion_mlp(tmp_path, inputs=100))
    assert "100 inputs" in problem.message


@pytest.mark.parametrize(
    ("state", "word"),
    [
        ({"deca.E_expression.encoder.x": (1,), "deca.E_expression.layers.2.weight": (60, 1024)}, "60 numbers"),
        ({"deca.E_expression.resnet.x": (1,), "deca.E_expression.layers.2.weight": (50, 1024)}, "parallel"),
        ({"deca.E_mica.conv1.weight": (1,)}, "EMICA"),
        ({"deca.E_flame.encoder.conv1.weight": (64, 3, 7, 7)}, "DECA"),
    ],
)
def test_layouts_that_are_not_emocas(tmp_path: Path, mien_home: Path, state: dict, word: str) -> None:
    tensors = {name: torch.zeros(shape) for name, shape in state.items()}
    assert word in refused(write_emoca_checkpoint(tmp_path / "a=1.0.ckpt", tensors)).message


def test_another_model_of_a_head(tmp_path: Path, mien_home: Path) -> None:
    fields = {
        "v_template": np.zeros((6890, 3)), "shapedirs": np.zeros((6890, 3, 400)), "posedirs": np.zeros((6890, 3, 36)),
        "J_regressor": np.zeros((5, 6890)), "weights": np.zeros((6890, 5)), "f": np.zeros((10, 3), np.int64),
        "kintree_table": np.zeros((2, 5), np.int64),
    }  # fmt: skip
    (tmp_path / "body.pkl").write_bytes(pickle.dumps(fields))
    assert "no FLAME model" in refused(tmp_path / "body.pkl").message


def test_numbers_that_are_none(tmp_path: Path, mien_home: Path) -> None:
    state = smirk_state(translator=False)
    name = "smirk_encoder.shape_encoder.encoder.bn1.weight"
    state[name] = torch.full_like(state[name], torch.nan)
    torch.save(state, tmp_path / "SMIRK.pt")
    assert "not numbers" in refused(tmp_path / "SMIRK.pt", "damaged").message


def test_a_zip_bomb(tmp_path: Path, mien_home: Path) -> None:
    path = tmp_path / "FLAME2020.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("model.pkl", "w") as member:
        for _ in range(100):
            member.write(bytes(1 << 20))
    refused(path, "bomb")


def test_more_than_any_download(tmp_path: Path, mien_home: Path, smirk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "all.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(smirk, "SMIRK_em1.pt")
    monkeypatch.setattr(trees, "LARGEST_MEMBER", 1 << 20)
    refused(path, code=ErrorCode.TOO_LARGE)
    monkeypatch.setattr(restricted, "MAX_FILE_BYTES", 1 << 20)
    refused(smirk, code=ErrorCode.TOO_LARGE)


def test_archives_without_end(tmp_path: Path, mien_home: Path) -> None:
    path = write_fixed_displacement(tmp_path / "x.npy")
    for number in range(7):
        outer = tmp_path / f"{number}.zip"
        with zipfile.ZipFile(outer, "w") as archive:
            archive.write(path, path.name)
        path = outer
    assert "too many archives" in add([path]).problems[0].message
    nothing_left()


def test_paths_in_archives_lead_nowhere(tmp_path: Path, mien_home: Path) -> None:
    path = tmp_path / "all.zip"
    write_fixed_displacement(tmp_path / "x.npy")
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(tmp_path / "x.npy", "../../../outside.npy")
    outcome = add([path])
    assert [entry.part.kind for entry in outcome.added] == ["fixed_displacement"]
    assert not list(tmp_path.rglob("outside*"))


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file can grow beyond 4 MB, as on a full disk."""
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4 << 20, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_no_space_for_the_part(mien_home: Path, smirk: Path, small_files: None) -> None:
    with pytest.raises(MienError) as caught:
        add([smirk])
    assert caught.value.code is ErrorCode.NO_SPACE
    nothing_left()


def test_no_space_to_unpack(tmp_path: Path, mien_home: Path, smirk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "all.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(smirk, "SMIRK_em1.pt")
    full = shutil.disk_usage(tmp_path)._replace(free=1 << 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    with pytest.raises(MienError) as caught:
        add([path])
    assert caught.value.code is ErrorCode.NO_SPACE
    nothing_left()


class Stopping:
    """Progress that is stopped in the midst of a conversion."""

    def __call__(self, stage: str, done: float, message: str = "") -> None:
        if message.startswith("converting") and done > 0.3:
            raise KeyboardInterrupt

    def check_cancelled(self) -> None:
        return


def test_stopping_leaves_nothing(mien_home: Path, smirk: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        add([smirk], progress=Stopping())  # type: ignore[arg-type]
    nothing_left()


def test_a_problem_stops_no_other_file(tmp_path: Path, mien_home: Path) -> None:
    (tmp_path / "a.pt").write_bytes(b"<html>")
    write_flame_masks(tmp_path / "b.pkl")
    (tmp_path / "c.txt").write_text("about")
    np.save(tmp_path / "d.npy", np.ones((3, 3)))
    outcome = add([tmp_path])
    assert [entry.part.kind for entry in outcome.added] == ["flame_masks"]
    assert len(outcome.problems) == 1
    assert sorted(Path(name).name for name in outcome.unknown) == ["c.txt", "d.npy"]


def test_a_path_that_is_not_there(tmp_path: Path, mien_home: Path) -> None:
    with pytest.raises(MienError) as caught:
        add([write_flame_model(tmp_path / "generic_model.pkl"), tmp_path / "nothing.pt"])
    assert caught.value.code is ErrorCode.MISSING_FILE
    assert not os.path.exists(parts_dir())
