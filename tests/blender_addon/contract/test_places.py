# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
from pathlib import Path

import pytest

from blender_addon.contract import places
from blender_addon.contract.errors import ErrorCode, MienError


def test_mien_home_wins(mien_home):
    assert places.data_dir() == mien_home
    assert not mien_home.exists(), "asking for a path makes nothing"
    for folder in (places.models_dir(), places.jobs_dir(), places.logs_dir(), places.environments_dir()):
        assert folder.parent == mien_home


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {"XDG_DATA_HOME": "/data"}, "/data/mien"),
        ("linux", {"XDG_DATA_HOME": "relative"}, "/home/me/.local/share/mien"),
        ("linux", {}, "/home/me/.local/share/mien"),
        ("darwin", {}, "/home/me/Library/Application Support/Mien"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/Mien"),
        ("win32", {}, "/home/me/AppData/Local/Mien"),
    ],
)
def test_usual_place_of_each_system(monkeypatch, platform, variables, expected):
    for name in ("MIEN_HOME", "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(places.sys, "platform", platform)
    monkeypatch.setattr(places.Path, "home", lambda: Path("/home/me"))
    assert places.data_dir().as_posix() == expected


def test_backend_record_round_trip(mien_home):
    assert places.read_backend_record() is None
    record = places.BackendRecord("/py thon/ü", "/root", "0.1.0")
    places.write_backend_record(record)
    assert places.read_backend_record() == record


@pytest.mark.parametrize(
    "content", ["", "[]", "{", '{"python": "a", "root": "b"}', '{"python":1,"root":"","version":""}']
)
def test_damaged_backend_record(mien_home, content):
    mien_home.mkdir()
    places.backend_record_path().write_text(content)
    with pytest.raises(MienError) as caught:
        places.read_backend_record()
    assert caught.value.code is ErrorCode.SETUP_FAILED
    assert str(places.backend_record_path()) in caught.value.message


def test_unreadable_backend_record(mien_home):
    os.makedirs(places.backend_record_path())
    with pytest.raises(MienError) as caught:
        places.read_backend_record()
    assert caught.value.code is ErrorCode.SETUP_FAILED
