# SPDX-License-Identifier: GPL-3.0-or-later
"""How many shots a minute `mien batch` does, with one process and with two, and what keeps two from being twice one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import skimage.data

from backend.device import available_cores
from backend.progress import no_progress
from backend.session import Session
from backend.weights.landmarker import landmarker_file
from tests.bench_rows import row
from tests.footage import panned, write

ROOT = Path(__file__).resolve().parents[1]
SHOTS = 12
FRAMES = 60
WAYS = (("1 process, its usual threads", 1, None), ("1 process, 1 thread", 1, 1), ("2 processes, 1 thread each", 2, 1))
STAGES = ("load", "faces", "identity", "frames", "overlay")


def batch(session: Session, folder: Path) -> None:
    """Print shots a minute of each way, and the ratios."""
    shots = folder / "shots"
    shots.mkdir()
    one = write(folder / "one.mp4", panned(skimage.data.astronaut(), FRAMES, (60.0, 0.0), (0.5, 0.2)))
    for number in range(SHOTS):
        shutil.copy(one, shots / f"shot{number:02}.mp4")
    took = [_run(shots, folder / f"run{number}", jobs, threads) for number, (_, jobs, threads) in enumerate(WAYS)]
    row(f"batch, {SHOTS} shots of {FRAMES} frames, 320x240, {available_cores()} cores", "")
    for number, (name, *_) in enumerate(WAYS):
        wall, cpu = took[number]
        row(f"  {name}", f"{60 * SHOTS / wall:.1f} shots/min")
        row("    processor seconds a shot; cores busy", f"{cpu / SHOTS:.2f} s; {cpu / wall:.2f}")
        row("    seconds a shot: " + ", ".join(STAGES), _stages(folder / f"run{number}"))
    usual, single, two = (wall for wall, _ in took)
    row("  2 processes against 1 with its usual threads", f"{usual / two:.2f} x", "at least 1.7 x if work allows")
    row("  2 processes against 1 with 1 thread", f"{single / two:.2f} x")


def _run(shots: Path, out: Path, jobs: int, threads: int | None) -> tuple[float, float]:
    """Seconds of a whole batch in a data folder that knows nothing yet, and seconds of its processors."""
    home = out.with_suffix(".home")
    (home / "models").mkdir(parents=True)
    shutil.copy(landmarker_file(no_progress), home / "models")
    command = [sys.executable, "-m", "backend.cli", "batch", str(shots), "--out", str(out), "--jobs", str(jobs)]
    command += ["--device", "cpu"] + (["--threads", str(threads)] if threads else [])
    environment = os.environ | {"PYTHONPATH": str(ROOT), "MIEN_HOME": str(home)}
    before, started = _children(), time.perf_counter()
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    return time.perf_counter() - started, _children() - before


def _children() -> float:
    """Processor seconds of all child processes that have ended."""
    times = os.times()
    return times.children_user + times.children_system


def _stages(out: Path) -> str:
    """Mean seconds of each stage over the shots."""
    seconds = [json.loads(path.read_text())["seconds"] for path in out.rglob("shot.json")]
    return " ".join(f"{sum(each.get(stage, 0.0) for each in seconds) / len(seconds):.2f}" for stage in STAGES)
