# SPDX-License-Identifier: GPL-3.0-or-later
"""A list of fifty shots, five of them broken in five ways: forty-five are finished and five explained."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from backend.cli import main
from blender_addon.contract.errors import EXIT_CODES, ErrorCode
from tests.backend.batch.test_batch_command import table
from tests.footage import empty, write

pytestmark = pytest.mark.slow

BROKEN = {
    "cut off": ("bad_clip", "was cut off"),
    "no clip": ("bad_clip", "is not a video in a known format"),
    "nobody": ("no_face", "No face was found"),
    "gone": ("missing_file", "cannot be read"),
    "zero": ("bad_clip", "is an empty file"),
}
"""Code and words by the shot's name."""


@pytest.fixture
def shots(tmp_path, clip) -> Path:
    """Fifty rows: clips of three lengths in three folders, with ranges and people of their own, and the broken ones."""
    folder = tmp_path / "shots"
    made = [clip(tmp_path / f"{frames}.mp4", frames) for frames in (3, 4, 5)]
    rows = ["file,name,range,smoothing"]
    for number in range(45):
        target = folder / f"day{number % 3}" / f"shot{number:02}.mp4"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(made[number % 3], target)
        rows.append(f"day{number % 3}/{target.name},,{'2:' if number % 2 else ''},{number / 45:.2f}")
    (folder / "cut off.mp4").write_bytes(made[2].read_bytes()[:600])
    (folder / "no clip.mp4").write_bytes(b"\x1f\x8b<script>alert(1)</script>" + bytes(range(256)) * 50)
    write(folder / "nobody.mp4", empty(3))
    (folder / "zero.mp4").touch()
    for position, name in enumerate(BROKEN):
        rows.insert(1 + 9 * position, f"{name}.mp4,,,")
    (folder / "shots.csv").write_text("\n".join(rows), encoding="utf-8")
    return folder / "shots.csv"


def test_forty_five_are_finished_and_five_explained(home, shots, tmp_path, capsys):
    out = tmp_path / "done"
    arguments = ["batch", "--manifest", str(shots), "--out", str(out), "--jobs", "2", "--device", "cpu"]
    assert main(arguments) == EXIT_CODES[ErrorCode.SHOTS_FAILED]
    rows = table(out)
    assert len(rows) == 50
    finished = {name for name, row in rows.items() if row["state"] == "finished"}
    assert len(finished) == 45
    assert all((out / rows[name]["take"]).is_file() and (out / rows[name]["overlay"]).is_file() for name in finished)
    failed = {name: row for name, row in rows.items() if row["state"] == "failed"}
    assert failed.keys() == BROKEN.keys()
    for name, (code, words) in BROKEN.items():
        assert failed[name]["failures"] == f"capture:{code}", failed[name]
        assert words in failed[name]["reasons"] and f"{name}.mp4" in failed[name]["reasons"]
    page = (out / "batch.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg;base64,") == 45 and "<script" not in page
    assert "45 of 50 shots are finished" in capsys.readouterr().out
    assert not list(out.rglob(".mien-*")) and not list(out.rglob("progress.json"))

    assert main(arguments) == EXIT_CODES[ErrorCode.SHOTS_FAILED]
    assert "5 of 50 shots to do" in capsys.readouterr().err
