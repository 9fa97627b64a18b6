# SPDX-License-Identifier: GPL-3.0-or-later
"""Batches of a run: who makes them, and what is told of their pictures."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from tests import fabricated_datasets as fabricated
from training.trainer import data
from training.trainer.configuration import Configuration, DataSettings, TrainerSettings
from training.trainer.data import RunData


def run_data(devices: int | None, workers: int = -1) -> RunData:
    faces = {"kind": "synthetic", "people": 2, "pictures": 2}
    trainer = TrainerSettings(batch=2, workers=workers)
    made = RunData(Configuration("emotion-network", DataSettings(faces, faces), trainer=trainer))
    made.trainer = devices and SimpleNamespace(num_devices=devices, is_global_zero=True)
    return made


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize(
    ("cores", "devices", "train", "validation"),
    [(16, None, 15, 4), (16, 1, 15, 4), (64, 8, 7, 2), (8, 4, 1, 1), (8, 8, 0, 0), (2, 4, 0, 0), (1, 1, 0, 0)],
)
def test_processes_on_one_machine_share_its_cores(
    monkeypatch: pytest.MonkeyPatch, cores: int, devices: int | None, train: int, validation: int
) -> None:
    monkeypatch.setattr(data, "available_cores", lambda: cores)
    made = run_data(devices)
    assert made.train_dataloader().num_workers == train
    assert made.val_dataloader().num_workers == validation
    stated = run_data(devices, workers=3)
    assert stated.train_dataloader().num_workers == stated.val_dataloader().num_workers == 3


@pytest.mark.parametrize("first", [True, False])
def test_each_process_tells_what_it_found_damaged_and_the_first_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], first: bool
) -> None:
    names = ["1/aa", "1/bb", "1/cc"]
    rows = [fabricated.affectnet_row(f"{name}.jpg", 1, 0.5, 0.5) for name in [*names, "1/gone"]]
    for split in ("training", "validation"):
        fabricated.affectnet_csv(tmp_path / f"{split}.csv", rows)
    fabricated.prepare(tmp_path / "prepared", names)
    fabricated.truncate(tmp_path / "prepared/detections/1/bb.png")
    entry = {"kind": "affectnet", "folder": tmp_path}
    settings = DataSettings(entry | {"split": "train"}, entry | {"split": "validation"})
    made = RunData(Configuration("emotion-network", settings))
    made.trainer = SimpleNamespace(num_devices=2, is_global_zero=first)
    made.setup("fit")
    assert capsys.readouterr().err.count("picture is missing (1/gone)") == (2 if first else 0)
    made.trained[1]
    made.teardown("fit")
    said = capsys.readouterr().err
    assert said.count("picture is damaged (1/bb)") == 1 and "validation" not in said
