# SPDX-License-Identifier: GPL-3.0-or-later
"""A backend for other machines: kept keys, a list of clients, uploaded sources."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from blender_addon.client.connection import Connection
from blender_addon.client.events import (
    CaptureFailed,
    CaptureFinished,
    ClientState,
    PreviewReady,
    Progress,
    StateChanged,
)
from blender_addon.client.jobs import Client
from blender_addon.client.launch import ClientSettings, RemoteBackend, client_keys
from blender_addon.client.upload import Upload, UploadQueue
from blender_addon.contract import messages as m
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.options import CaptureOptions
from tests.backend.server.raw import raw
from tests.client_driver import FAKE_BACKEND, driving, source


@pytest.fixture
def server(tmp_path, mien_home, monkeypatch) -> Iterator[tuple[RemoteBackend, Path]]:
    """A remote backend with a data folder of its own, and the list of its clients."""
    home = tmp_path / "server-home"
    monkeypatch.setenv("MIEN_HOME", str(home))
    child = subprocess.Popen(
        [sys.executable, str(FAKE_BACKEND), "--remote", "--bind", "tcp://127.0.0.1:*"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    monkeypatch.setenv("MIEN_HOME", str(mien_home))
    try:
        told = json.loads(child.stdout.readline())
        yield RemoteBackend(told["endpoint"], told["public_key"]), home / "keys" / "clients.txt"
        child.terminate()
        assert child.wait(10) == 0
        assert told["public_key"] in child.stderr.read().decode()
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
        child.stderr.close()


def admit(clients: Path) -> None:
    """Let this user in."""
    clients.write_text(f"{client_keys().public} test\n")


def test_a_photo_is_uploaded_and_captured(tmp_path, server):
    remote, clients = server
    admit(clients)
    with driving(tmp_path, remote) as driver:
        options = source(tmp_path, takes=2, filler="x" * 3_000_000)
        driver.client.capture(options)
        progress = driver.until(
            lambda event: isinstance(event, Progress) and event.stage == "upload" and event.done > 0
        )
        assert progress.message == "Uploading"
        finished = driver.wait_for(CaptureFinished)
        name = Path(options.source).name
        assert finished.report["source"] == name
        assert {take.meta.source for take in finished.takes} == {name}
        stored = list((clients.parents[1] / "uploads").iterdir())
        assert len(stored) == 1
        driver.client.capture(options)
        driver.wait_for(CaptureFinished)


def test_errors_name_the_users_file_and_not_the_backends(tmp_path, server):
    remote, clients = server
    admit(clients)
    with driving(tmp_path, remote) as driver:
        options = source(tmp_path, error=True)
        driver.client.capture(options)
        error = driver.wait_for(CaptureFailed).error
        assert error.code is ErrorCode.NO_FACE
        assert error.message == f"No face in {Path(options.source).name}."


def test_cancel_in_the_middle_of_an_upload(tmp_path, server):
    remote, clients = server
    admit(clients)
    with driving(tmp_path, remote) as driver:
        job = driver.client.capture(source(tmp_path, filler="x" * 20_000_000))
        driver.until(lambda event: isinstance(event, Progress) and event.stage == "upload" and event.done > 0)
        driver.client.cancel(job)
        assert driver.wait_for(CaptureFailed).error.code is ErrorCode.CANCELLED
        driver.client.capture(source(tmp_path))
        driver.wait_for(CaptureFinished)


def test_a_source_that_shrinks_while_it_is_sent_is_told(tmp_path, server):
    remote, clients = server
    admit(clients)
    with driving(tmp_path, remote) as driver:
        options = source(tmp_path, filler="x" * 20_000_000)
        driver.client.capture(options)
        driver.until(lambda event: isinstance(event, Progress) and event.stage == "upload" and event.done > 0)
        os.truncate(options.source, 100)
        failed = driver.wait_for(CaptureFailed)
        assert failed.error.code is ErrorCode.WRONG_HASH
        assert options.source in failed.error.message


def test_an_unknown_client_is_refused_with_what_to_do(tmp_path, server):
    remote, clients = server
    with driving(tmp_path, remote) as driver:
        job = driver.client.capture(source(tmp_path))
        failed = driver.wait_for(CaptureFailed)
        assert (failed.job, failed.error.code) == (job, ErrorCode.UNAUTHORISED)
        assert driver.client.state is ClientState.FAILED
        admit(clients)
        driver.client.retry(job)
        driver.wait_for(CaptureFinished)


def test_a_wrong_server_key_is_told(tmp_path, server):
    remote, clients = server
    admit(clients)
    with driving(tmp_path, RemoteBackend(remote.endpoint, client_keys().public)) as driver:
        driver.client.start()
        driver.until(lambda event: isinstance(event, StateChanged) and event.state is ClientState.FAILED)
        assert driver.client.error.code is ErrorCode.UNAUTHORISED


def test_clients_may_neither_read_files_nor_end_it(server):
    remote, clients = server
    admit(clients)
    with raw(remote.endpoint, remote.public_key, client_keys()) as connection:
        assert connection.ask(m.Shutdown()).code is ErrorCode.NOT_PERMITTED
        assert connection.ask(m.Submit("a" * 32, CaptureOptions("/etc/passwd"))).code is ErrorCode.NOT_PERMITTED
        missing = m.Submit("a" * 32, CaptureOptions("a.jpg"), upload="b" * 64)
        assert connection.ask(missing).code is ErrorCode.MISSING_FILE


def test_references_and_cameras_of_the_backends_machine_are_refused(server):
    remote, clients = server
    admit(clients)
    with raw(remote.endpoint, remote.public_key, client_keys()) as connection:
        content = np.frombuffer(b"{}", np.uint8)
        sha256 = hashlib.sha256(content).hexdigest()
        connection.ask(m.BeginUpload(sha256, len(content), "a.json"))
        assert connection.ask(m.UploadChunk(sha256, 0, content)).complete
        with_path = CaptureOptions("a.json", references=("/etc/passwd",))
        assert connection.ask(m.Submit("a" * 32, with_path, upload=sha256)).code is ErrorCode.NOT_PERMITTED
        missing = m.Submit("a" * 32, with_path, upload=sha256, reference_uploads=("b" * 64,))
        refused = connection.ask(missing)
        assert refused.code is ErrorCode.MISSING_FILE
        assert "/etc/passwd" in refused.message
        for upload in ("", sha256):
            camera = m.Submit("a" * 32, CaptureOptions("camera:0", live=True), upload=upload)
            refused = connection.ask(camera)
            assert refused.code is ErrorCode.NOT_PERMITTED
            assert "camera:0" in refused.message
            assert refused.remedy
        accepted = m.Submit("a" * 32, with_path, upload=sha256, reference_uploads=(sha256,))
        assert connection.ask(accepted).status.state is m.JobState.QUEUED


def test_a_clip_and_its_references_are_uploaded_once(tmp_path, server):
    remote, clients = server
    admit(clients)
    (tmp_path / "one.jpg").write_bytes(b"1" * 2_500_000)
    (tmp_path / "two.jpg").write_bytes(b"2")
    references = tuple(str(tmp_path / name) for name in ("one.jpg", "two.jpg", "one.jpg"))
    options = source(tmp_path, {"references": references}, frames=20, solved=str(tmp_path / "solved"))
    with driving(tmp_path, remote) as driver:
        driver.client.capture(options)
        driver.client.capture(options)
        for _ in range(2):
            assert driver.wait_for(CaptureFinished).report["frames"] == list(range(20))
        uploads = [event for event in driver.seen if isinstance(event, Progress) and event.stage == "upload"]
        for job in {event.job for event in uploads}:
            done = [event.done for event in uploads if event.job == job]
            assert done == sorted(done)
        stored = sorted(path.stat().st_size for path in (clients.parents[1] / "uploads").iterdir())
        assert stored == sorted([1, Path(options.source).stat().st_size, 2_500_000])


@pytest.mark.parametrize(
    ("name", "as_reference"),
    [("camera:0", False)]
    + [(name, on) for name in ("folder", "shot.####.png", "shot.%04d.png", "shot.%d.png") for on in (False, True)],
)
def test_what_is_no_single_file_is_not_sent(tmp_path, server, name, as_reference):
    remote, clients = server
    admit(clients)
    (tmp_path / "folder").mkdir()
    path = name if name == "camera:0" else str(tmp_path / name)
    options = CaptureOptions(path, live=name == "camera:0")
    if as_reference:
        options = source(tmp_path, {"references": (path,)})
    with driving(tmp_path, remote) as driver:
        driver.client.capture(options)
        error = driver.wait_for(CaptureFailed).error
        assert error.code is (ErrorCode.NOT_PERMITTED if name == "camera:0" else ErrorCode.USAGE)
        assert "on this machine" in error.remedy
        assert not (clients.parents[1] / "uploads").exists()


def test_a_file_whose_name_looks_like_a_pattern_is_sent(tmp_path, server):
    remote, clients = server
    admit(clients)
    (tmp_path / "take #2.json").write_text("{}")
    with driving(tmp_path, remote) as driver:
        driver.client.capture(CaptureOptions(str(tmp_path / "take #2.json")))
        driver.wait_for(CaptureFinished)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_clip_goes_on_when_the_remote_backend_was_killed_and_is_there_again(tmp_path, mien_home, monkeypatch):
    monkeypatch.setattr(Connection.send, "__defaults__", (1.0, 30))  # requests are repeated sooner
    solved = tmp_path / "solved"
    options = source(tmp_path, frames=60, frame_seconds=0.02, solved=str(solved))
    address = "tcp://127.0.0.1:*"
    home = tmp_path / "server-home"

    def start() -> tuple[subprocess.Popen, dict]:
        monkeypatch.setenv("MIEN_HOME", str(home))
        command = [sys.executable, str(FAKE_BACKEND), "--remote", "--bind", address]
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        monkeypatch.setenv("MIEN_HOME", str(mien_home))
        return child, json.loads(child.stdout.readline())

    child, told = start()
    try:
        admit(home / "keys" / "clients.txt")
        address = told["endpoint"]
        with driving(tmp_path, RemoteBackend(address, told["public_key"])) as driver:
            job = driver.client.capture(options)
            driver.until(lambda event: isinstance(event, PreviewReady) and event.takes[0].extra["frame"][0] >= 30)
            child.kill()
            child.wait()
            child.stdout.close()
            child, _ = start()
            assert driver.wait_for(CaptureFinished).job == job
            assert solved.read_text().splitlines() == [str(number) for number in range(60)]
            shown = [int(event.takes[0].extra["frame"][0]) for event in driver.seen if isinstance(event, PreviewReady)]
            assert shown == sorted(shown)
            assert len([number for number in shown if number > 35]) > 2, "the second run counts its previews anew"
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def test_nobody_there(tmp_path, mien_home):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        endpoint = f"tcp://127.0.0.1:{unused.getsockname()[1]}"
    client = Client(ClientSettings(tmp_path, RemoteBackend(endpoint, client_keys().public)))
    client.start()
    for now in range(0, 200, 5):  # seconds pass only on paper
        client.pump(float(now))
    assert client.state is ClientState.FAILED
    assert client.error.code is ErrorCode.NO_NETWORK
    assert endpoint in client.error.message
    client.close()


@pytest.mark.parametrize(
    ("remote", "code"),
    [
        (RemoteBackend("tcp://127.0.0.1:1", "short"), ErrorCode.UNAUTHORISED),
        (RemoteBackend("nonsense", "x" * 40), ErrorCode.USAGE),
    ],
)
def test_bad_preferences_are_told(tmp_path, mien_home, remote, code):
    client = Client(ClientSettings(tmp_path, remote))
    client.start()
    client.pump(0.0)
    assert client.error.code is code
    client.close()


def test_a_missing_source_is_told_before_anything_is_sent(tmp_path):
    with pytest.raises(MienError) as caught:
        Upload(str(tmp_path / "gone.jpg"))
    assert caught.value.code is ErrorCode.MISSING_FILE


def test_a_missing_reference_is_told_before_anything_is_sent(tmp_path):
    (tmp_path / "here.jpg").touch()
    with pytest.raises(MienError) as caught:
        UploadQueue((str(tmp_path / "here.jpg"), str(tmp_path / "gone.jpg")))
    assert caught.value.code is ErrorCode.MISSING_FILE
    assert "gone.jpg" in caught.value.message
