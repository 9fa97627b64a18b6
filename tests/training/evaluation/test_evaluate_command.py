# SPDX-License-Identifier: GPL-3.0-or-later
"""`mien train evaluate-emotion` as it is typed, on files of codes, takes and predictions."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from backend.cli import main
from backend.weights.parts import find
from blender_addon.contract.arkit import CHANNELS
from blender_addon.contract.errors import EXIT_CODES, ErrorCode
from tests.arkit_takes import arkit_take
from tests.evaluations import evaluate, run, told
from tests.fabricated_codes import fabricated, label_rows, write_labels
from training.evaluation.code_files import LAYOUTS, read_code_file
from training.evaluation.labels import LabelFile
from training.evaluation.mlp import load_mlp
from training.evaluation.scores import read_predictions, score
from training.synthetic.emotions import draw_emotion


def emotional_takes(folder: Path, people: int = 12, faces: int = 6) -> list[dict[str, object]]:
    """Takes of the open head that show emotions, and the rows of their labels."""
    random = np.random.default_rng(0)
    rows = []
    for person in range(people):
        for number in range(faces):
            emotion = draw_emotion(random)
            name = f"p{person:02d}/{number}"
            take = arkit_take(1, seed=person, source=f"/data/{name}.jpg", valid=np.ones(1, bool))
            channels = take.meta.channels
            units = {channel: emotion.units[CHANNELS.index(channel)] for channel in channels if channel in CHANNELS}
            expression = np.array([[units.get(channel, 0.0) for channel in channels]], np.float32)
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            replace(take, expression=expression).save(folder / f"{name}.take.npz")
            rows.append({
                "file": f"{name}.jpg", "label": emotion.label, "valence": emotion.valence, "arousal": emotion.arousal,
                "split": "test" if person % 3 == 0 else "train", "subject": f"p{person}",
            })  # fmt: skip
    return rows


def test_table1_from_codes_and_predictions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = fabricated(50, 6), fabricated(50, 6, told=0, seed=0)
    good.save(tmp_path / "good.npz")
    bad.save(tmp_path / "bad.npz")
    labels = write_labels(tmp_path / "labels.csv", label_rows(good))
    tables = {"table1": [{"name": "EMOCA", "codes": ["good.npz"]}, {"name": "DECA", "codes": ["bad.npz"]}]}
    csv, markdown = tmp_path / "t.csv", tmp_path / "t.md"
    assert evaluate(tmp_path, tables, "--csv", csv, "--markdown", markdown) == 0
    text = capsys.readouterr().out
    assert "EMOCA" in text and "not entered: see docs/evaluation.md" in text
    assert csv.read_text().count("measured") == 2 and "| EMOCA | measured | 90 |" in markdown.read_text()

    assert evaluate(tmp_path, tables, "--json") == 0
    rows = told(capsys)
    assert rows["EMOCA"]["E-ACC"] > 0.6 > 0.3 > rows["DECA"]["E-ACC"]
    assert rows["EMOCA"]["V-CCC"] > rows["DECA"]["V-CCC"] + 0.3

    # What was said of each face is kept; as predictions it gives the same row, which is that of the metrics.
    kept = tmp_path / "out" / "table1" / "emoca" / "predictions.npz"
    arguments = ("evaluate-emotion", "--predictions", f"again={kept}", "--out", tmp_path / "again", "--json")
    assert run(*arguments, "--labels", labels) == 0
    again = told(capsys)["again"]
    assert again == rows["EMOCA"]
    assert run(*arguments) == 0  # with the labels that it holds itself
    assert told(capsys)["again"] == again
    read = read_predictions(kept, LabelFile(labels))
    assert len(read.names) == 90 and dict(score(read.said, read.labels).values) == again


def test_a_finished_row_is_not_trained_again_and_a_changed_one_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from training.evaluation import measuring

    trained = []
    real = measuring.train_mlp
    monkeypatch.setattr(measuring, "train_mlp", lambda *a, **k: trained.append(k["seed"]) or real(*a, **k))
    fabricated(30, 4).save(tmp_path / "codes.npz")
    tables = {"table1": [{"name": "EMOCA", "codes": ["codes.npz"]}]}
    assert evaluate(tmp_path, tables, "--json") == 0
    first = told(capsys)
    assert evaluate(tmp_path, tables, "--json") == 0
    assert told(capsys) == first and trained == [3]
    assert evaluate(tmp_path, tables, "--seed", 4) == 0
    assert trained == [3, 4]
    assert evaluate(tmp_path, tables, "--json") == 0  # the same table as at first, though trained anew
    capsys_first = capsys.readouterr().out
    assert trained == [3, 4, 3] and json.dumps(first["EMOCA"]["E-ACC"]) in capsys_first
    fabricated(30, 4, seed=9).save(tmp_path / "codes.npz")
    assert evaluate(tmp_path, tables) == 0
    assert trained == [3, 4, 3, 3]
    (tmp_path / "out" / "table1" / "emoca" / "result.json").write_text("{")
    assert evaluate(tmp_path, tables) == 0
    assert len(trained) == 5


def test_clips_are_cross_validated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = fabricated(25, 8)
    table.save(tmp_path / "codes.npz")
    write_labels(tmp_path / "labels.csv", label_rows(table, folds=True))
    tables = {"afew-va": [{"name": "EMOCA", "codes": ["codes.npz"]}]}
    assert evaluate(tmp_path, tables, "--json", labels="labels.csv") == 0
    mean = told(capsys)["EMOCA"]
    assert set(mean) == {f"{v}-{m}" for v in "VA" for m in ("PCC", "CCC", "RMSE", "SAGR")}
    assert mean["V-PCC"] > 0.5
    folder = tmp_path / "out" / "afew-va" / "emoca"
    result = json.loads((folder / "result.json").read_text())
    assert len(result["folds"]) == 5 and result["pooled"]["faces"] == 200
    assert mean["V-PCC"] == pytest.approx(np.mean([fold["values"]["V-PCC"] for fold in result["folds"]]))
    assert len(list(folder.glob("mlp.fold*.ckpt"))) == 5
    assert evaluate(tmp_path, tables, "--json", "--folds", "pooled", labels="labels.csv") == 0
    pooled = told(capsys)["EMOCA"]
    assert pooled["V-PCC"] == result["pooled"]["values"]["V-PCC"]
    read = read_predictions(folder / "predictions.npz", LabelFile(tmp_path / "labels.csv"))
    assert score(read.said, read.labels).values["V-CCC"] == pytest.approx(pooled["V-CCC"], abs=1e-12)


def test_codes_of_every_method_and_with_detail(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    methods = []
    for layout in LAYOUTS.values():
        table = fabricated(20, 4, widths=dict(layout.widths), method=layout.title)
        path = tmp_path / f"{layout.title}.npz"
        table.save(path)
        methods.append({"name": layout.title, "codes": [str(path)]})
    fabricated(20, 4, widths={"identity": 100, "expression": 50, "jaw": 3, "detail": 128}).save(tmp_path / "e.npz")
    methods += [{"name": "EMOCA", "codes": ["e.npz"]},
                {"name": "EMOCA with detail", "codes": ["e.npz"], "groups": ["coarse", "detail"]}]  # fmt: skip
    assert evaluate(tmp_path, {"table1": methods}, "--json", "--epochs", 2) == 0
    assert set(told(capsys)) == {method["name"] for method in methods}
    inputs = {
        path.parent.name: json.loads(path.read_text())["about"]["inputs"]
        for path in (tmp_path / "out").rglob("result.json")
    }
    assert inputs == {"deep3dfacerecon": 144, "3ddfa-v2": 50, "mgcnet": 144, "expnet": 29, "emoca": 153,
                      "emoca-with-detail": 281}  # fmt: skip


def test_a_second_row_with_detail(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shapes = {"identity": 80, "expression": 64, "detail": 9}
    fabricated(12, 5, widths=shapes, method="Deep3DFaceRecon").save(tmp_path / "own.npz")
    codes = ("--codes", f"Mine={tmp_path / 'own.npz'}", "--out", tmp_path / "out", "--epochs", 1, "--device", "cpu")
    assert run("evaluate-emotion", *codes) == EXIT_CODES[ErrorCode.BAD_IMPORT]
    assert "'detail' that Deep3DFaceRecon has not" in capsys.readouterr().err
    fabricated(12, 5, widths=shapes, method="").save(tmp_path / "own.npz")
    fabricated(12, 5, widths={"identity": 80, "expression": 64}, method="").save(tmp_path / "plain.npz")
    both = (*codes, "--codes", f"Plain={tmp_path / 'plain.npz'}", "--with-detail")
    assert run("evaluate-emotion", *both, "--json") == 0
    assert set(told(capsys)) == {"Mine", "Mine with detail", "Plain"}
    assert run("evaluate-emotion", *both) == 0
    assert "Plain: no row with detail, since its codes have none." in capsys.readouterr().out
    names = ("--codes", f"Mine with detail={tmp_path / 'plain.npz'}", "--with-detail")
    assert run("evaluate-emotion", *codes, *names) == EXIT_CODES[ErrorCode.USAGE]
    assert "is 'Mine with detail' again" in capsys.readouterr().err


def test_takes_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = write_labels(tmp_path / "labels.csv", emotional_takes(tmp_path / "takes"))
    gathered = tmp_path / "codes.npz"
    assert run("emotion-codes", tmp_path / "takes", "--labels", labels, "--out", gathered) == 0
    assert "72 faces of fit: identity" in capsys.readouterr().out
    table = read_code_file(gathered)
    assert len(table) == 72 and table.method == "fit"
    common = ("--out", tmp_path / "out", "--epochs", 1, "--json", "--device", "cpu")
    takes = ("evaluate-emotion", "--codes", f"fit={tmp_path / 'takes'}", "--labels", labels)
    assert run(*takes, *common) == 0
    one = told(capsys)
    assert run("evaluate-emotion", "--codes", f"fit={gathered}", *common) == 0
    assert told(capsys) == one
    model = tmp_path / "out" / "table1" / "fit" / "mlp.ckpt"
    loaded = {"table1": [{"name": "fit", "codes": [str(gathered)], "model": str(model)}]}
    assert evaluate(tmp_path, loaded, "--json") == 0
    assert told(capsys)["fit"] == pytest.approx(one["fit"], abs=1e-6)


def test_the_stage_is_trained_as_others_are(mien_home: Path, tmp_path: Path, capsys) -> None:
    """`mien train emotion-mlp` on a file of codes; `mien models add` takes what it leaves."""
    table = fabricated(12, 6)
    split = np.where(table.labels.split == "test", "validation", "train")
    replace(table, labels=replace(table.labels, split=split)).save(tmp_path / "codes.npz")
    places = [f"data.{part}.file={tmp_path / 'codes.npz'}" for part in ("train", "validation")]
    out = tmp_path / "run"
    short = ("trainer.epochs=1", "trainer.batch=16", "trainer.accelerator=cpu")
    assert run("emotion-mlp", "--out", out, *places, *short) == 0
    assert "Best checkpoint" in capsys.readouterr().out
    assert main(["models", "add", str(out / "best.ckpt")]) == 0
    capsys.readouterr()
    assert find("emotion_mlp") is not None
    network = load_mlp(str(out / "best.ckpt"), 153)
    assert torch.equal(network.state_dict()["model.0.weight"], find("emotion_mlp").tensors()["model.0.weight"])
    fabricated(4, 4, test_share=1.0).save(tmp_path / "test.npz")
    row = {"name": "EMOCA", "codes": ["test.npz"], "model": "emotion_mlp"}
    assert evaluate(tmp_path, {"table1": [row]}, "--json") == 0
    assert told(capsys)["EMOCA"]["E-ACC"] is not None  # without any rows for training
    assert run("emotion-mlp", "--out", tmp_path / "no", *places, "data.train.split=exam") == EXIT_CODES[ErrorCode.USAGE]
    assert "no labelled faces of the split 'exam'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        ((), ErrorCode.USAGE, "nothing to evaluate"),
        (("--codes", "a=none.npz"), ErrorCode.MISSING_FILE, "none.npz"),
        (("--codes", "a=x.npz", "--codes", "A=y.npz"), ErrorCode.USAGE, "is 'A' again"),
        (("--codes", "a=x.npz", "--seed", "-1"), ErrorCode.USAGE, "-1 is not a whole number from 0"),
        (("--config", "no.yaml"), ErrorCode.MISSING_FILE, "no.yaml"),
        (("--config", "no.yaml", "--table", "table2"), ErrorCode.USAGE, "--config and --table"),
        (("--predictions", "a=p.npz"), ErrorCode.MISSING_FILE, "p.npz"),
        (("--codes", "a=x", "--published", "no.csv"), ErrorCode.MISSING_FILE, "no.csv"),
    ],
)
def test_mistakes_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: ErrorCode, reason: str
) -> None:
    assert run("evaluate-emotion", *arguments, "--out", tmp_path / "out") == EXIT_CODES[code]
    assert reason in capsys.readouterr().err


@pytest.mark.parametrize(
    ("tables", "settings", "reason"),
    [
        ({"table7": []}, {}, "'tables.table7' is no table"),
        ({"table1": [{"name": "a"}]}, {}, "not just one of codes and predictions"),
        ({"table1": [{"name": "a", "codes": ["x"], "colour": 1}]}, {}, "colour' is not a setting"),
        ({"table1": [{"name": "..", "codes": ["x"]}]}, {}, "Use letters or digits"),
        ({"table1": [{"name": "a", "codes": ["x"]}]}, {"training": {"batch": 1}}, "'training.batch' is 1"),
        ({"table1": [{"name": "a", "codes": ["x"]}]}, {"seed": -1}, "'seed' is -1"),
        ({"table1": [{"name": "a", "codes": ["x"]}]}, {"folds": "median"}, "'folds' is 'median'"),
    ],
)
def test_mistakes_of_the_file_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], tables: dict, settings: dict, reason: str
) -> None:
    assert evaluate(tmp_path, tables, **settings) == EXIT_CODES[ErrorCode.USAGE]
    assert reason in capsys.readouterr().err
