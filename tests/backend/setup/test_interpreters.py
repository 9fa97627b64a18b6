# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding Pythons among what claims to be one."""

from __future__ import annotations

import glob
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from backend.setup import interpreters
from backend.setup.bpy_environments import FOR_SAVING, choose_release
from backend.setup.interpreters import Interpreter, find_interpreter, probe, this_interpreter
from blender_addon.contract.errors import ErrorCode, MienError

posix_only = pytest.mark.skipif(os.name == "nt", reason="the stand-ins are shell scripts")


def script(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.fixture
def empty_machine(tmp_path, monkeypatch):
    """No Python in any of the usual places; returns the only folder of the PATH."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(interpreters, "this_interpreter", lambda: Interpreter("/none", (3, 99, 0), True))
    inside = str(tmp_path)
    found = SimpleNamespace(glob=lambda pattern: glob.glob(pattern) if pattern.startswith(inside) else [])
    monkeypatch.setattr(interpreters, "glob", found)
    return tmp_path / "bin"


def fake_python(path: Path, version: str, complete: bool = True) -> Path:
    answer = f'{{"version": [{version.replace(".", ", ")}], "complete": {str(complete).lower()}, "bits": 64}}'
    return script(path, f"echo '{answer}'")


def test_this_python_is_what_a_probe_says_it_is():
    here = this_interpreter()
    assert probe(sys.executable) == here
    assert here.version == sys.version_info[:3]


@posix_only
@pytest.mark.parametrize(
    "body",
    [
        "exit 1",  # a shim with no version behind it
        "echo 'pyenv: python3.11: command not found' >&2; exit 127",
        "echo Python 2.7.18",
        "echo '{\"version\": [3, 11, 7], \"complete\": true, \"bits\": 32}'",
        "echo '{\"version\": [3, 11, 7], \"complete\": true, \"bits\": 64}'; exit 3",
    ],
)
def test_what_is_no_usable_python_is_passed_over(tmp_path, body):
    assert probe(script(tmp_path / "python3.11", body)) is None


def test_a_missing_program_is_no_python(tmp_path):
    assert probe(tmp_path / "python3.11") is None


@posix_only
def test_dead_shims_and_incomplete_pythons_do_not_hide_a_good_one(empty_machine, tmp_path):
    script(empty_machine / "python3.11", "exit 127")
    fake_python(tmp_path / "pyenv" / "versions" / "3.11.9" / "bin" / "python3.11", "3.11.9", complete=False)
    good = fake_python(tmp_path / "pyenv" / "versions" / "3.11.4" / "bin" / "python3.11", "3.11.4")
    assert find_interpreter((3, 11)) == Interpreter(str(good), (3, 11, 4), True)


@posix_only
def test_a_python_of_another_version_under_the_name_is_not_taken(empty_machine):
    fake_python(empty_machine / "python3.11", "3.12.1")
    assert find_interpreter((3, 11)) is None


@posix_only
def test_blender_as_a_module_prefers_the_release_whose_files_open_everywhere(empty_machine):
    fake_python(empty_machine / "python3.13", "3.13.0")
    assert choose_release(FOR_SAVING)[0].blender == (5, 2)
    fake_python(empty_machine / "python3.11", "3.11.2")
    assert choose_release(FOR_SAVING)[0].blender == (4, 2)


@posix_only
def test_without_any_fitting_python_the_way_out_is_said(empty_machine):
    with pytest.raises(MienError, match=r"3\.11 or 3\.13") as caught:
        choose_release(FOR_SAVING)
    assert caught.value.code is ErrorCode.SETUP_FAILED
    assert "--blender" in caught.value.remedy
