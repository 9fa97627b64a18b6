# SPDX-License-Identifier: GPL-3.0-or-later
"""`mien models` as a user runs it, and which engines and heads are ready."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from backend.cli import main
from backend.heads import load_head
from backend.weights.ledger import LEDGER
from backend.weights.parts import PartKind, find, parts, write_part
from backend.weights.readiness import models
from blender_addon.contract.errors import EXIT_CODES, ErrorCode
from tests.official_files import write_flame_zip, write_landmark_embedding, write_smirk

NUMBER = {"x": np.zeros(1, np.float32)}


def put_part(kind: str, name: str = "", **settings: str) -> None:
    write_part(kind, NUMBER, origin="file", sha256="0" * 64, name=name, settings=settings)  # type: ignore[arg-type]


def engine(name: str):
    return next(entry for entry in models().engines if entry.name == name)


def test_every_kind_is_in_the_ledger() -> None:
    assert set(LEDGER) == set(get_args(PartKind))
    assert all(entry.where.startswith("https://") and entry.licence and entry.adds for entry in LEDGER.values())


def test_an_empty_store_names_what_is_missing(mien_home: Path) -> None:
    known = models()
    assert [entry.name for entry in known.engines if entry.ready] == ["fit"]
    assert [entry.id for entry in known.heads if entry.ready] == ["open"]
    emoca = engine("emoca")
    assert "FLAME2020.zip" in emoca.reason and "emoca.is.tue.mpg.de" in emoca.remedy
    assert (emoca.commercial_use, engine("fit").commercial_use) == ("no", "yes")
    assert {part.kind for part in known.parts} == set(get_args(PartKind))


def test_the_open_head_is_the_one_that_is_loaded(mien_home: Path) -> None:
    head, status = load_head("open"), models().heads[0]
    assert (status.id, status.sha256, status.licence, status.revision) == (
        head.id, head.sha256, head.licence, head.revision,
    )  # fmt: skip
    assert status.commercial_use == head.commercial_use


def test_readiness_follows_the_parts(mien_home: Path) -> None:
    put_part("emoca", "EMOCA")
    put_part("flame2020", "emoca", identities="100", expressions="50")
    assert "landmark" in engine("emoca").reason and not engine("emoca").ready
    put_part("landmark_embedding")
    put_part("smirk")
    assert engine("emoca").ready and not engine("emoca").sees_wrinkles and not engine("emoca").sees_emotion
    assert "the whole FLAME 2020" in engine("smirk").reason
    put_part("flame2020", identities="300", expressions="100")
    put_part("head_template")
    put_part("emotion_mlp")
    put_part("emoca", "EMOCA_v2")
    assert engine("smirk").ready and not engine("smirk").sees_emotion
    emoca = engine("emoca")
    assert emoca.sees_wrinkles and emoca.sees_emotion
    assert emoca.weights == ("EMOCA_v2", "EMOCA")
    assert engine("smirk").weights == ("smirk",)
    assert find("smirk", "smirk") is not None and find("emoca", "emoca") is None
    head = next(entry for entry in models().heads if entry.id == "flame2020")
    assert (head.ready, head.sha256, len(head.revision)) == (True, "0" * 64, 64)
    put_part("flame2023_open")
    clean = next(entry for entry in models().heads if entry.id == "flame2023_open")
    assert (clean.licence, clean.commercial_use) == ("CC-BY-4.0", "yes")


def test_a_full_store_is_told_quickly_and_without_torch(mien_home: Path) -> None:
    for kind in get_args(PartKind):
        put_part(kind)
    code = "import sys; from backend.weights.readiness import models; models(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    models()
    start = time.perf_counter()
    models()
    assert time.perf_counter() - start < 0.3


def test_add_list_use_remove(tmp_path: Path, mien_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flame, smirk = write_flame_zip(tmp_path), write_smirk(tmp_path / "S.pt", translator=False)
    marks = write_landmark_embedding(tmp_path / "l.npy")
    assert main(["models", "add", str(flame), str(smirk), str(marks)]) == 0
    shown = capsys.readouterr().out
    assert "added  SMIRK's networks" in shown and "commercial use: unclear" in shown and "Readme.pdf" in shown
    assert main(["models"]) == 0
    assert "ready    smirk" in capsys.readouterr().out
    assert main(["models", "use", "flame2020:female"]) == 0
    assert find("flame2020").name == "female"
    assert main(["models", "use", "male"]) == 0
    assert find("flame2020").name == "male"
    assert main(["models", "remove", "smirk"]) == 0
    assert not parts("smirk") and smirk.exists()
    capsys.readouterr()
    assert main(["models", "--json"]) == 0
    table = json.loads(capsys.readouterr().out)
    assert [entry["ready"] for entry in table["engines"] if entry["name"] == "smirk"] == [False]
    assert main(["models", "add", str(smirk), "--json"]) == 0
    table = json.loads(capsys.readouterr().out)
    assert [entry["kind"] for entry in table["added"]] == ["smirk"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["use", "nothing"], ErrorCode.USAGE),
        (["remove", "flame2020:none"], ErrorCode.USAGE),
        (["add", "/nowhere/file.pt"], ErrorCode.MISSING_FILE),
        (["add"], ErrorCode.USAGE),
        (["add", "x", "--release", "flame2019"], ErrorCode.USAGE),
    ],
)
def test_wrong_commands(mien_home: Path, capsys: pytest.CaptureFixture[str], arguments: list, code: ErrorCode) -> None:
    assert main(["models", *arguments]) == EXIT_CODES[code]
    assert capsys.readouterr().err.startswith("mien: ")


def test_files_that_hold_nothing(tmp_path: Path, mien_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "a.npy", np.ones((3, 3)))
    assert main(["models", "add", str(tmp_path / "a.npy")]) == EXIT_CODES[ErrorCode.BAD_WEIGHTS]
    assert "nothing that Mien uses" in capsys.readouterr().err
    (tmp_path / "b.pt").write_bytes(b"<html>")
    assert main(["models", "add", str(tmp_path)]) == EXIT_CODES[ErrorCode.BAD_WEIGHTS]
    assert "web page" in capsys.readouterr().err


def test_several_parts_of_a_name_are_asked_about(mien_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put_part("emoca", "A")
    put_part("emoca", "B")
    assert main(["models", "remove", "emoca"]) == EXIT_CODES[ErrorCode.USAGE]
    assert "emoca:A" in capsys.readouterr().err
    assert len(parts("emoca")) == 2
