# SPDX-License-Identifier: GPL-3.0-or-later
"""A run on two devices: two processes, one voice, one folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from blender_addon.contract.errors import EXIT_CODES, ErrorCode
from training.synthetic.dataset import SyntheticFaces
from training.synthetic.on_disk import write_faces

pytestmark = pytest.mark.slow
PICTURES, BATCH, DEVICES = 12, 2, 2
STEPS = PICTURES // BATCH // DEVICES


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the user is; a module there must not be taken for one of ours."""
    folder = tmp_path_factory.mktemp("user")
    write_faces(SyntheticFaces(PICTURES // 2, 2), folder / "faces", per_file=4)
    (folder / "backend.py").write_text("raise SystemExit('the wrong module')")
    return folder


@pytest.fixture
def started(folder: Path, repository: Path) -> Iterator[list[subprocess.Popen[str]]]:
    """Runs of the test; none is left behind."""
    runs: list[subprocess.Popen[str]] = []
    yield runs
    for run in runs:
        run.kill()
        run.wait()


def start(folder: Path, repository: Path, out: str, *changes: str) -> subprocess.Popen[str]:
    stored = "{kind: stored, folder: faces}"
    command = [
        sys.executable, "-P", "-m", "backend.cli", "train", "emotion-network", "--config", "emotion_network_synthetic",
        "--out", out, f"data.train={stored}", f"data.validation={stored}", f"trainer.batch={BATCH}",
        f"trainer.devices={DEVICES}", "trainer.strategy=ddp", "trainer.accelerator=cpu", "trainer.workers=0",
        "trainer.log_every=1", *changes,
    ]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(repository), "OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=pipe, stderr=pipe, text=True)


def ended(run: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = run.communicate(timeout=300)
    return run.returncode, out, err


def step_of(folder: Path) -> int:
    return torch.load(folder / "last.ckpt", weights_only=True)["global_step"]


def test_two_processes_share_the_pictures_and_one_of_them_writes_and_talks(
    folder: Path, repository: Path, started: list[subprocess.Popen[str]]
) -> None:
    for epochs in (1, 2):
        run = start(folder, repository, "run", f"trainer.epochs={epochs}")
        started.append(run)
        code, out, err = ended(run)
        assert code == 0, err
        assert out.count("Best checkpoint") == 1 and f"{epochs * STEPS} steps" in out
        assert {path.name for path in (folder / "run").iterdir()} == {
            "best.ckpt", "last.ckpt", "log", "result.json", "run.yaml",
        }  # fmt: skip
        assert len(list((folder / "run" / "log").glob("events.*"))) == epochs
        assert json.loads((folder / "run" / "result.json").read_text())["steps"] == epochs * STEPS
        assert step_of(folder / "run") == epochs * STEPS


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signal that asks a process to end")
def test_two_processes_that_are_to_stop_do_so_together_and_keep_their_state(
    folder: Path, repository: Path, started: list[subprocess.Popen[str]]
) -> None:
    run = start(folder, repository, "stopped", "trainer.epochs=1000", "trainer.save_every=1")
    started.append(run)
    until = time.monotonic() + 300
    while not (folder / "stopped" / "last.ckpt").exists():
        assert run.poll() is None and time.monotonic() < until, "the run made no step"
        time.sleep(0.1)
    run.send_signal(signal.SIGTERM)
    code, out, err = ended(run)
    assert code == EXIT_CODES[ErrorCode.CANCELLED], (code, err)
    step = step_of(folder / "stopped")
    assert step >= 1 and err.count("mien: ") == 1 and f"Stopped at step {step};" in err
    assert "Traceback" not in err and not out.count("Best checkpoint")
