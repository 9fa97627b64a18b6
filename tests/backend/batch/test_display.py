# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person and what a log see of a batch."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest

from backend.batch.display import LiveTable, PlainLines, choose_display
from backend.batch.plan import Plan
from backend.batch.progress_file import ProgressFile, Running, read_progress
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.status import FrameCount


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def plan(tmp_path, common):
    shots = tuple(replace(common, name=name) for name in ("a", "b", "c"))
    return Plan(tmp_path, shots, shots[:2], {"a": "not done yet", "b": "its source has changed"}, {}, 1)


def tell(display, plan, record):
    with display:
        display.plan(plan)
        display.running({"a": Running("faces", 0.5, "Following faces [1/2]", "node7")})
        display.ended(replace(record, name="a", state="failed", reasons=("No [bold]face[/bold] was found.",)))


def test_a_log_gets_lines_with_the_time(plan, record):
    stream = io.StringIO()
    display = choose_display(stream)
    assert isinstance(display, PlainLines)
    tell(display, plan, record)
    lines = stream.getvalue().splitlines()
    assert all(re.match(r"\d\d:\d\d:\d\d ", line) for line in lines)
    said = stream.getvalue()
    assert "2 of 3 shots to do" in said and "1 are finished" in said
    assert "b is done again: its source has changed" in said
    assert "a begins on node7" in said and "[1/2] a failed (2.0 s): No [bold]face[/bold] was found." in said
    assert "\x1b" not in said


def test_a_terminal_gets_a_table(plan, record, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    stream = Terminal()
    display = choose_display(stream)
    assert isinstance(display, LiveTable)
    tell(display, plan, record)
    said = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", stream.getvalue())
    assert "Following faces [1/2]" in said and "node7" in said and "[bold]face[/bold]" in said


def test_progress_passes_through_a_file(tmp_path):
    stop = tmp_path / "stop"
    with ProgressFile(tmp_path, str(stop)) as progress:
        assert read_progress(tmp_path).stage == "start"
        progress._written = -1.0
        progress.frames(FrameCount(done=3, total=12, per_second=40.0, seconds_left=1.0))
        progress("faces", 1.5, "Following faces")
        seen = read_progress(tmp_path)
        assert (seen.stage, seen.done) == ("faces", 1.0) and "(3 of 12 frames, 40 a second)" in seen.told
        progress("faces", 0.1, "too soon to be told")
        assert read_progress(tmp_path) == seen
        progress.check_cancelled()
        stop.touch()
        progress._looked = -1.0
        with pytest.raises(MienError) as caught:
            progress.check_cancelled()
        assert caught.value.code is ErrorCode.CANCELLED
    assert read_progress(tmp_path) is None
