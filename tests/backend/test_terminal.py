# SPDX-License-Identifier: GPL-3.0-or-later
"""Progress as a person sees it, on a terminal and in a log."""

from __future__ import annotations

import io

import pytest

from backend.terminal import TerminalProgress, guarded
from blender_addon.contract.errors import EXIT_CODES, ErrorCode, MienError


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def show(stream: io.StringIO) -> str:
    with TerminalProgress(stream) as progress:
        progress("faces", 0.0, "looking")
        progress("faces", 0.5, "looking")
        progress("engine", 1.0)
        progress.check_cancelled()
    return stream.getvalue()


def test_a_log_gets_one_line_for_each_step():
    assert show(io.StringIO()) == "faces: looking\nengine\n"


def test_a_terminal_gets_one_line_that_changes_and_goes():
    shown = show(Terminal())
    assert "\n" not in shown
    assert "[##########..........]  50% faces: looking" in shown
    assert shown.endswith("\x1b[K")


def test_a_long_step_does_not_wrap(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    stream = Terminal()
    TerminalProgress(stream)("venv", 2.0, "a message that is much longer than the line of the terminal")
    line = stream.getvalue().removeprefix("\r\x1b[K")
    assert len(line) == 39
    assert line.startswith("[####################] 100% venv")


@pytest.mark.parametrize("returned", [None, 0, 7])
def test_the_status_of_the_work_is_passed_on(returned):
    assert guarded(lambda: returned) == (returned or 0)


def test_a_failure_is_one_line(capsys):
    def fail() -> None:
        raise MienError(ErrorCode.NO_SPACE, "The disk is full.", "Free some space.")

    assert guarded(fail) == EXIT_CODES[ErrorCode.NO_SPACE]
    assert capsys.readouterr().err == "mien: The disk is full. Free some space.\n"


def test_a_reader_that_has_gone_is_told_nothing(capsys):
    def fail() -> None:
        raise BrokenPipeError

    assert guarded(fail) == EXIT_CODES[ErrorCode.INTERNAL]
    assert capsys.readouterr().err == ""
