# SPDX-License-Identifier: GPL-3.0-or-later
"""Model files through the real service, and heads of the store that change."""

from __future__ import annotations

import json
import threading
import uuid
from pathlib import Path

import pytest

from backend.server import adding
from backend.server.adding import Adder
from blender_addon.client.events import (
    AddingFailed,
    AddingGoesOn,
    CaptureFinished,
    FilesAdded,
    HeadReady,
    ModelsListed,
)
from blender_addon.contract import messages as m
from blender_addon.contract.errors import ErrorCode, MienError
from tests.backend.server.fake_backend import STORED_SHA256
from tests.backend.server.raw import backend, raw
from tests.client_driver import driving, source

pytestmark = pytest.mark.usefixtures("mien_home")


def told(path: Path, **todo: object) -> str:
    """A file that says what the stand-in shall do with it."""
    path.write_text(json.dumps(todo))
    return str(path)


def asked(*paths: str) -> m.AddModels:
    """A new request."""
    return m.AddModels(uuid.uuid4().hex, paths or ("/a",))


def test_files_are_added_and_the_models_are_told_anew(tmp_path):
    slow = told(tmp_path / "a.zip", pause=1.3, news=["DECA's networks were added."])
    with driving(tmp_path) as driver:
        added = driver.client.add_models([slow, told(tmp_path / "b.zip", news=["FLAME 2020 was added."])])
        going = driver.wait_for(AddingGoesOn)
        assert (going.adding, going.message) == (added, "Reading a.zip")
        done = driver.wait_for(FilesAdded)
        assert done.news == ("DECA's networks were added.", "FLAME 2020 was added.")
        driver.wait_for(ModelsListed)


def test_what_cannot_be_added_is_told_and_stops_nothing(tmp_path):
    with driving(tmp_path) as driver:
        driver.client.add_models([told(tmp_path / "half.zip", error="half.zip ends in the middle.")])
        error = driver.wait_for(AddingFailed).error
        assert (error.code, error.message) == (ErrorCode.BAD_HEAD, "half.zip ends in the middle.")
        driver.client.add_models([told(tmp_path / "whole.zip", news=["Added."])])
        assert driver.wait_for(FilesAdded).news == ("Added.",)
        with pytest.raises(MienError):
            driver.client.add_models(["here.zip"])


def test_a_repeated_request_adds_once():
    go, runs = threading.Event(), []

    def add(paths, progress):
        runs.append(paths)
        progress("reading", 2.0)
        go.wait(10)
        return ("Added.",)

    woken = threading.Event()
    adder, request = Adder(woken.set), asked()
    assert adder.answer(request, add, waited=False) is None
    waiting = adder.answer(request, add, waited=True)
    assert waiting.news is None and 0 <= waiting.done <= 1
    go.set()
    assert woken.wait(10)
    for _ in range(2):
        assert adder.answer(request, add, waited=False).news == ("Added.",)
    assert runs == [(Path("/a"),)]


def test_not_too_many_wait_and_few_are_kept():
    go = threading.Event()
    adder = Adder(lambda: None)
    for _ in range(adding.MOST_WAITING):
        adder.answer(asked(), lambda paths, progress: (go.wait(10), ())[1], waited=True)
    with pytest.raises(MienError) as caught:
        adder.answer(asked(), lambda paths, progress: (), waited=True)
    assert caught.value.code is ErrorCode.TOO_LARGE
    go.set()
    for item in adder._addings.values():
        item.news.result(10)
    adder.answer(asked(), lambda paths, progress: (), waited=True)
    assert len(adder._addings) <= adding.KEEP


def test_a_remote_backend_refuses(tmp_path, mien_home):
    keys = mien_home / "keys"
    keys.mkdir(parents=True, exist_ok=True)
    with backend("--remote", "--bind", "tcp://127.0.0.1:*") as child:
        (keys / "clients.txt").write_text(child.client.public)
        line = child.told()
        with raw(line["endpoint"], line["public_key"], child.client) as connection:
            error = connection.ask(asked(told(tmp_path / "a.zip")))
    assert error.code is ErrorCode.NOT_PERMITTED
    assert "mien models add" in error.remedy


def test_a_head_of_the_store_comes_and_is_replaced_when_something_comes_to_it(tmp_path, monkeypatch):
    store = tmp_path / "store.json"
    store.write_text(json.dumps({"revision": "1" * 64, "pause": 1.2}))
    monkeypatch.setenv("FAKE_STORE", str(store))
    with driving(tmp_path) as driver:
        client = driver.client
        client.want_head(STORED_SHA256)
        first = driver.wait_for(HeadReady)
        assert client.head(STORED_SHA256).revision == "1" * 64
        store.write_text(json.dumps({"revision": "2" * 64}))
        client.list_models()
        driver.wait_for(ModelsListed)
        assert client.head(STORED_SHA256) is None, "the copy is outdated"
        client.want_head(STORED_SHA256)
        second = driver.wait_for(HeadReady)
        assert client.head(STORED_SHA256).revision == "2" * 64
        assert second.path.is_file() and not first.path.exists()
    with driving(tmp_path) as driver:
        assert driver.client.head(STORED_SHA256).revision == "2" * 64, "without asking anybody"
        store.write_text(json.dumps({"revision": "3" * 64}))
        driver.client.capture(source(tmp_path))
        driver.wait_for(CaptureFinished)
        assert driver.client.head(STORED_SHA256) is None


def test_a_head_that_nobody_has_names_the_way_out(tmp_path):
    with backend() as child, raw(child.told()["endpoint"], child.server.public, child.client) as connection:
        reply = connection.ask(m.GetHead("c" * 64))
        while isinstance(reply, m.Head):
            assert reply.head is None
            reply = connection.ask(m.GetHead("c" * 64))
    assert reply.code is ErrorCode.WRONG_HEAD
    assert "mien convert" in reply.remedy
