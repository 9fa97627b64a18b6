# SPDX-License-Identifier: GPL-3.0-or-later
"""States of runs on the disk: whole or as before, and refused where they are none."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from blender_addon.contract.errors import ErrorCode, MienError
from training.trainer.checkpoints import WholeCheckpoints

STATE = {"state_dict": {"weight": torch.arange(3.0)}, "loops": {}, "optimizer_states": []}


class Forged:
    """Would run a command in a reader that trusts it."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("exit",)


def test_a_state_comes_back(tmp_path: Path) -> None:
    WholeCheckpoints().save_checkpoint(STATE, tmp_path / "last.ckpt")
    known = WholeCheckpoints().load_checkpoint(tmp_path / "last.ckpt")
    assert torch.equal(known["state_dict"]["weight"], torch.arange(3.0))
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]


def test_a_full_disk_leaves_the_state_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "last.ckpt"
    WholeCheckpoints().save_checkpoint(STATE, path)
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MienError) as caught:
        WholeCheckpoints().save_checkpoint(STATE | {"state_dict": {}}, path)
    assert caught.value.code is ErrorCode.NO_SPACE
    assert path.read_bytes() == before and [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]


@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("hello" * 99),
        lambda path: torch.save({"state_dict": {}}, path),
        lambda path: torch.save(STATE | {"loops": Forged()}, path),
        lambda path: (torch.save(STATE, path), path.write_bytes(path.read_bytes()[:300])),
    ],
    ids=["empty", "text", "weights alone", "forged", "cut off"],
)
def test_what_is_no_state_is_refused(tmp_path: Path, write: Callable[[Path], object]) -> None:
    path = tmp_path / "last.ckpt"
    write(path)
    with pytest.raises(MienError, match="is damaged, or no state of a run") as caught:
        WholeCheckpoints().load_checkpoint(path)
    assert caught.value.code is ErrorCode.BAD_WEIGHTS and caught.value.remedy
