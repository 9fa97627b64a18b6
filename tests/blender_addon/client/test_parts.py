# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import builtins
import sys
import time

import pytest

from blender_addon.client.connection import import_zmq
from blender_addon.client.heads import HeadCache
from blender_addon.client.process import clean_environment
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.wire import import_msgpack
from tests.fake_takes import HEAD_SHA256, same_arrays, small_head


def wait_for_save(cache: HeadCache) -> list:
    """Results of the saving thread."""
    while not (saved := cache.saved()):
        time.sleep(0.005)
    return saved


def test_heads_are_kept_for_the_next_session(tmp_path):
    cache = HeadCache(tmp_path / "heads")
    assert cache.get(HEAD_SHA256) is None
    cache.put(small_head())
    assert wait_for_save(cache) == [(HEAD_SHA256, None)]
    assert same_arrays(HeadCache(tmp_path / "heads").get(HEAD_SHA256), small_head())


def test_a_damaged_head_is_fetched_anew(tmp_path):
    cache = HeadCache(tmp_path)
    cache.path(HEAD_SHA256).write_bytes(b"PK\x03\x04damaged")
    assert cache.has(HEAD_SHA256)
    assert cache.get(HEAD_SHA256) is None
    assert not cache.has(HEAD_SHA256)


def test_a_head_that_cannot_be_saved_is_told(tmp_path):
    (tmp_path / "file").touch()
    cache = HeadCache(tmp_path / "file" / "heads")
    cache.put(small_head())
    ((sha256, error),) = wait_for_save(cache)
    assert sha256 == HEAD_SHA256
    assert error.code is ErrorCode.MISSING_FILE


def test_blenders_python_settings_are_not_handed_on(monkeypatch):
    for name in ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP"):
        monkeypatch.setenv(name, "/blender")
    monkeypatch.setenv("PATH_TO_KEEP", "1")
    environment = clean_environment()
    assert {name for name in environment if name.startswith("PYTHON")} == {"PYTHONUTF8"}
    assert environment["PATH_TO_KEEP"] == "1"


@pytest.mark.parametrize(("package", "load"), [("zmq", import_zmq), ("msgpack", import_msgpack)])
def test_missing_wheels_are_told(monkeypatch, package, load):
    usual = builtins.__import__

    def without(name, *rest):
        if name.split(".")[0] == package:
            raise ImportError(name)
        return usual(name, *rest)

    monkeypatch.delitem(sys.modules, package, raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MienError) as caught:
        load()
    assert caught.value.code is ErrorCode.SETUP_FAILED
    assert package in caught.value.message
    assert caught.value.remedy
