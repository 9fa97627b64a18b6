# SPDX-License-Identifier: GPL-3.0-or-later
"""A test run counts what ran, and a run that broke does not pass for one that found nothing wrong."""

from __future__ import annotations

import subprocess
import sys

import pytest

from backend.setup import test_run
from backend.setup.test_run import Counts, Suite, read_results, run_suite


def results(path, **numbers):
    attributes = " ".join(f'{name}="{number}"' for name, number in numbers.items())
    path.write_text(f"<testsuites><testsuite {attributes}/></testsuites>", encoding="utf-8")
    return path


def test_counts_come_from_the_file(tmp_path):
    path = results(tmp_path / "r.xml", tests=10, failures=1, errors=2, skipped=3)
    assert read_results(path, 1) == Counts(4, 3, 3)


@pytest.mark.parametrize(("status", "failed"), [(0, 0), (5, 0), (2, 1), (-11, 1)])
def test_a_bad_status_without_a_failed_test_is_a_failure(tmp_path, status, failed):
    assert read_results(results(tmp_path / "r.xml", tests=2), status) == Counts(2, failed, 0)
    assert read_results(tmp_path / "absent.xml", status).failed == failed


def test_status():
    assert Counts(3, 0, 1).status == 0
    assert Counts(3, 1, 0).status == 1
    assert Counts(0, 0, 5).status == 1
    assert str(Counts(1, 2, 3) + Counts(1, 0, 0)) == "2 passed, 2 failed, 3 skipped"


def test_a_suite_is_run_with_its_variables(tmp_path, capfd):
    (tmp_path / "test_it.py").write_text(
        "import os, pytest\n"
        "def test_good(): assert os.environ['COLOUR'] == 'blue'\n"
        "def test_bad(): assert os.environ['COLOUR'] == 'red'\n"
        "@pytest.mark.slow\n"
        "def test_long(): pass\n",
        encoding="utf-8",
    )
    suite = Suite("tiny", sys.executable, (str(tmp_path),), {"COLOUR": "blue"})
    assert run_suite(suite, ["-m", "not slow"]) == Counts(1, 1, 0)
    assert run_suite(suite, ["-k", "nothing"]) == Counts(0, 0, 0)
    assert "tiny: 1 passed, 1 failed, 0 skipped" in capfd.readouterr().out


@pytest.mark.parametrize("fails", [False, True])
def test_a_browser_is_installed_where_there_is_none_and_missed_only_by_its_tests(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, fails: bool
) -> None:
    asked: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess:
        asked.append(command)
        return subprocess.CompletedProcess(command, int(fails))

    monkeypatch.setattr(test_run.subprocess, "run", run)
    monkeypatch.setattr(test_run.system_libraries, "has_apt", lambda: True)
    monkeypatch.setattr(test_run.os, "geteuid", lambda: 0, raising=False)
    monkeypatch.setattr(test_run.shutil, "which", lambda name: None)
    test_run._ensure_browser()
    assert ("skipped" in capsys.readouterr().out) == fails
    assert fails or asked[-1][-1] == "chromium"
    asked.clear()
    monkeypatch.setattr(test_run.shutil, "which", lambda name: f"/usr/bin/{name}" if "google" in name else None)
    test_run._ensure_browser()
    assert not asked
