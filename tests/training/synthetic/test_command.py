# SPDX-License-Identifier: GPL-3.0-or-later
"""`mien train synthesise`."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from backend.cli import main
from blender_addon.contract.errors import EXIT_CODES, ErrorCode
from training.synthetic.dataset import SyntheticFaces
from training.synthetic.on_disk import StoredFaces


def test_faces_are_written_by_processes_as_they_are_made_here(tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    command = ["train", "synthesise", "--out", str(tmp_path / "faces"), "--people", "2", "--pictures", "2"]
    assert main([*command, "--first-person", "7", "--workers", "2"]) == 0
    assert "4 faces of 2 people" in capfd.readouterr().out
    stored, made = StoredFaces(tmp_path / "faces")[3], SyntheticFaces(2, 2, first_person=7)[3]
    assert stored.keys() == made.keys()
    for name, value in made.items():
        torch.testing.assert_close(stored[name], value, atol=1 / 255, rtol=0)
    assert main([*command, "--first-person", "7"]) == 0
    assert "0 files written now" in capfd.readouterr().out
    assert main(command) != 0
    assert "other synthetic faces" in capfd.readouterr().err


@pytest.mark.parametrize("name", ["--seed", "--first-person"])
def test_numbers_below_none_are_told(tmp_path: Path, capsys: pytest.CaptureFixture, name: str) -> None:
    command = ["train", "synthesise", "--out", str(tmp_path / "faces"), "--people", "1", name, "-1"]
    assert main(command) == EXIT_CODES[ErrorCode.USAGE]
    assert "-1 is not a whole number from 0" in capsys.readouterr().err and not (tmp_path / "faces").exists()
