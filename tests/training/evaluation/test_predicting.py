# SPDX-License-Identifier: GPL-3.0-or-later
"""`mien train predict-emotion` as it is typed, and the rows that its files give."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from backend.networks.emotion import EmotionNetwork, readout
from blender_addon.contract.errors import EXIT_CODES, ErrorCode
from tests import fabricated_datasets
from tests.evaluations import evaluate, run, told
from tests.fabricated_codes import write_labels
from training.evaluation.scores import read_predictions
from training.synthetic.dataset import SyntheticFaces


def small_network(folder: Path) -> tuple[EmotionNetwork, Path]:
    torch.manual_seed(0)
    network = EmotionNetwork(backbone="mobilenet_small")
    torch.save({"state_dict": network.state_dict()}, folder / "network.ckpt")
    return network, folder / "network.ckpt"


def affectnet_of(folder: Path) -> Path:
    """AffectNet's validation set with six prepared pictures, the last of them damaged, and a table of their labels."""
    names = [f"{number % 2}/face{number}" for number in range(6)]
    affect = [(number % 7, number / 6, -number / 6) for number in range(6)]
    rows = [fabricated_datasets.affectnet_row(f"{name}.jpg", *each) for name, each in zip(names, affect, strict=True)]
    fabricated_datasets.affectnet_csv(folder / "validation.csv", rows)
    fabricated_datasets.prepare(folder / "prepared", names)
    fabricated_datasets.truncate(folder / "prepared" / "detections" / f"{names[-1]}.png")
    keys = ("file", "label", "valence", "arousal", "split")
    table = [(f"{name}.jpg", *each, "test") for name, each in zip(names, affect, strict=True)]
    return write_labels(folder / "labels.csv", [dict(zip(keys, row, strict=True)) for row in table])


def test_predictions_of_a_dataset_have_its_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = affectnet_of(tmp_path)
    said = tmp_path / "resnet50.npz"
    data = f"{{kind: affectnet, folder: '{tmp_path.as_posix()}', split: test, augmentation: emotion}}"
    predict = ("predict-emotion", small_network(tmp_path)[1], "--data", data, "--device", "cpu")
    assert run(*predict, "--out", said) == 0
    assert "1 without a label, or damaged (the first is 1/face5)" in capsys.readouterr().out
    assert read_predictions(said).names.tolist() == [f"{number % 2}/face{number}" for number in range(5)]
    rows = {"table1": [{"name": "ResNet-50", "predictions": "resnet50.npz"}]}
    assert evaluate(tmp_path, rows, "--json", labels="labels.csv") == 0
    by_table = told(capsys)["ResNet-50"]
    command = ("evaluate-emotion", "--predictions", f"ResNet-50={said}", "--out", tmp_path / "own", "--json")
    assert run(*command) == 0
    assert told(capsys)["ResNet-50"] == pytest.approx(by_table)
    assert run(*command, "--labels", labels) == 0
    assert told(capsys)["ResNet-50"] == pytest.approx(by_table)
    assert run(*predict, "--out", said, "--split", "exam") == EXIT_CODES[ErrorCode.USAGE]


def test_predictions_of_clips_are_judged_in_folds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clips = {f"{number:03d}": 3 for number in range(6)}
    fabricated_datasets.afew_va(tmp_path / "afew", clips)
    names = [f"{clip}/{frame:05d}" for clip in clips for frame in range(3)]
    fabricated_datasets.prepare(tmp_path / "afew" / "prepared", names)
    folder = (tmp_path / "afew").as_posix()
    data = f"[{{kind: afew_va, folder: '{folder}'}}, {{kind: synthetic, people: 1, pictures: 2}}]"
    predict = ("predict-emotion", small_network(tmp_path)[1], "--data", data, "--device", "cpu", "--split", "")
    assert run(*predict, "--out", tmp_path / "said.npz") == 0
    read = read_predictions(tmp_path / "said.npz")
    assert read.names.tolist() == [*names, "18", "19"] and set(read.labels.split) == {""}
    affectnet_of(tmp_path)  # the labels of all other rows
    capsys.readouterr()
    rows = {"afew-va": [{"name": "ResNet-50", "predictions": "said.npz"}]}
    assert evaluate(tmp_path, rows, labels="labels.csv") == 0
    assert "ResNet-50: judged by the labels in its own file" in capsys.readouterr().out
    folder = tmp_path / "out" / "afew-va" / "resnet-50"
    result = json.loads((folder / "result.json").read_text())
    assert len(result["folds"]) == 5 and result["pooled"]["faces"] == 20
    rows["afew-va"][0]["labels"] = "labels.csv"  # its own table counts alone
    assert evaluate(tmp_path, rows) == EXIT_CODES[ErrorCode.BAD_MANIFEST]
    assert "has no label for any of the names" in capsys.readouterr().err


def test_a_network_on_pictures_gets_a_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network, path = small_network(tmp_path)
    said, data = tmp_path / "said.npz", "{kind: synthetic, people: 2, pictures: 2}"
    predict = ("predict-emotion", path, "--out", said, "--device", "cpu", "--json")
    assert run(*predict, "--data", data) == 0
    values = json.loads(capsys.readouterr().out)["values"]
    assert run("evaluate-emotion", "--predictions", f"Small={said}", "--out", tmp_path / "out", "--json") == 0
    assert told(capsys)["Small"] == values
    read = read_predictions(said)
    faces = SyntheticFaces(2, 2, 0)
    items = [faces[index] for index in range(4)]
    crops = torch.stack([item["image"] for item in items])
    with torch.inference_mode():
        known = readout(network.eval()(crops))
    np.testing.assert_allclose(read.said.valence, known.valence[:, 0], atol=1e-5)
    np.testing.assert_array_equal(read.labels.label, [item["label"] for item in items])
    for bad in ("{kind: nothing}", "{kind: [", "{kind: codes, file: none.npz}"):
        assert run(*predict, "--data", bad) in (EXIT_CODES[ErrorCode.USAGE], EXIT_CODES[ErrorCode.MISSING_FILE])
