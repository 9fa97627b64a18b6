# SPDX-License-Identifier: GPL-3.0-or-later
"""Batches of a run: who makes them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

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
