# SPDX-License-Identifier: GPL-3.0-or-later
"""The backend as a process: how it starts, whom it lets in, what it refuses, and that it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid

import msgpack
import pytest

from blender_addon.contract import messages as m
from blender_addon.contract.errors import EXIT_CODES, ErrorCode, MienError
from blender_addon.contract.options import CaptureOptions
from blender_addon.contract.version import PROTOCOL, VERSION
from tests.backend.server.raw import backend, new_keys, raw
from tests.client_driver import FAKE_BACKEND, source

pytestmark = pytest.mark.usefixtures("mien_home")


def submit(options: CaptureOptions, **changes) -> m.Submit:
    """A new job."""
    return m.Submit(uuid.uuid4().hex, options, **changes)


def silent(connection, milliseconds: int = 700) -> bool:
    """Whether no reply comes."""
    connection.send(m.Hello(VERSION))
    return not connection.socket.poll(milliseconds)


def test_it_says_where_it_listens_and_greets():
    with backend() as child:
        told = child.told()
        assert told["protocol"] == PROTOCOL
        assert told["version"] == VERSION
        assert told["pid"] == child.process.pid
        assert told["public_key"] == child.server.public
        assert told["endpoint"] == f"tcp://127.0.0.1:{told['port']}"
        with raw(told["endpoint"], child.server.public, child.client) as connection:
            welcome = connection.ask(m.Hello("0.0.1"))
            assert (welcome.version, welcome.pid, welcome.remote) == (VERSION, child.process.pid, False)


def test_only_the_parents_key_is_let_in():
    with backend() as child:
        endpoint = child.told()["endpoint"]
        with raw(endpoint, child.server.public, new_keys()) as stranger:
            assert silent(stranger)
        with raw(endpoint, new_keys().public, child.client) as mistaken:
            assert silent(mistaken)
        with raw(endpoint, "", None) as unencrypted:
            assert silent(unencrypted)
        with raw(endpoint, child.server.public, child.client) as known:
            assert isinstance(known.ask(m.Hello(VERSION)), m.Welcome)


@pytest.mark.parametrize("line", [b"\n", b"nonsense\n", b"{}\n", b'{"server_public": 1}\n', b"x" * 10_000 + b"\n"])
def test_bad_keys_end_it_without_repeating_them(line):
    with backend(first_line=line) as child:
        assert child.told()["error"]["code"] == ErrorCode.USAGE
        assert child.process.wait(10) == EXIT_CODES[ErrorCode.USAGE]
        assert b"nonsense" not in child.process.stderr.read()


def test_a_taken_port_is_told():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        with backend("--bind", address) as child:
            error = child.told()["error"]
            assert error["code"] == ErrorCode.PORT_TAKEN
            assert address in error["message"]
            assert error["remedy"]
            assert child.process.wait(10) == EXIT_CODES[ErrorCode.PORT_TAKEN]


@pytest.mark.parametrize("address", ["127.0.0.1:1", "tcp://127.0.0.1", "ipc:///x", "tcp://8.8.8.8:40000", "tcp://127.0.0.1:99999"])
def test_an_address_that_is_none_is_told(address):
    with backend("--bind", address) as child:
        assert child.told()["error"]["code"] == ErrorCode.USAGE


def test_it_ends_with_its_parent():
    with backend() as child:
        child.told()
        child.process.stdin.close()
        assert child.process.wait(2) == 0


def test_it_ends_with_its_parent_in_the_middle_of_a_job(tmp_path):
    with backend() as child:
        endpoint = child.told()["endpoint"]
        with raw(endpoint, child.server.public, child.client) as connection:
            job = submit(source(tmp_path, stubborn=60))
            connection.ask(job)
            while connection.ask(m.GetStatus(job.job)).status.stage != "start":
                time.sleep(0.01)
            child.process.stdin.close()
            assert child.process.wait(2) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_what_a_job_starts_does_not_read_from_the_parent(tmp_path):
    with backend() as child:
        with raw(child.told()["endpoint"], child.server.public, child.client) as connection:
            connection.ask(wanted := submit(source(tmp_path, ask=True)))
            assert connection.until_final(wanted.job).state is m.JobState.FINISHED


def test_ctrl_c_in_blenders_terminal_is_not_for_it():
    with backend() as child:
        endpoint = child.told()["endpoint"]
        os.kill(child.process.pid, signal.SIGINT)
        with raw(endpoint, child.server.public, child.client) as connection:
            assert isinstance(connection.ask(m.Hello(VERSION)), m.Welcome)


def test_shutdown_answers_and_ends():
    with backend() as child:
        with raw(child.told()["endpoint"], child.server.public, child.client) as connection:
            assert connection.ask(m.Shutdown()) == m.Done()
        assert child.process.wait(5) == 0


def test_garbage_is_answered_and_survived():
    with backend() as child:
        with raw(child.told()["endpoint"], child.server.public, child.client) as connection:
            for frames in ([b""], [b"\xff" * 100], [b"a"] * 50, [b"\x80"], [os.urandom(5000)]):
                connection.socket.send_multipart(frames)
                number, error = connection.receive()
                assert (number, error.code) == (0, ErrorCode.BAD_MESSAGE)
            reply = connection.ask(m.Done())
            assert isinstance(reply, MienError) and reply.code is ErrorCode.BAD_MESSAGE
            assert isinstance(connection.ask(m.Hello(VERSION)), m.Welcome)


def test_an_empty_array_of_an_impossible_shape_is_survived():
    header = {"protocol": PROTOCOL, "id": 7, "type": "hello", "body": {}, "arrays": [["|u1", [0, 1 << 39, 1 << 39]]]}
    with backend() as child:
        with raw(child.told()["endpoint"], child.server.public, child.client) as connection:
            connection.socket.send_multipart([msgpack.packb(header), b""])
            number, error = connection.receive()
            assert (number, error.code) == (7, ErrorCode.BAD_MESSAGE)
            assert isinstance(connection.ask(m.Hello(VERSION)), m.Welcome)


def test_another_protocol_is_answered_with_a_version_mismatch(monkeypatch):
    with backend() as child:
        with raw(child.told()["endpoint"], child.server.public, child.client) as connection:
            monkeypatch.setattr("blender_addon.contract.wire.PROTOCOL", PROTOCOL + 1)
            number = connection.send(m.Hello(VERSION))
            monkeypatch.undo()
            answered, error = connection.receive()
            assert answered == number
            assert error.code is ErrorCode.VERSION_MISMATCH
            assert error.remedy


def test_an_oversized_message_is_dropped_with_its_sender_only():
    with backend() as child:
        endpoint = child.told()["endpoint"]
        with (
            raw(endpoint, child.server.public, child.client) as greedy,
            raw(endpoint, child.server.public, child.client) as other,
        ):
            greedy.socket.send_multipart([b"x" * (m.MAX_REQUEST_FRAME + 1)])
            assert not greedy.socket.poll(500)
            assert isinstance(other.ask(m.Hello(VERSION)), m.Welcome)
            assert isinstance(greedy.ask(m.Hello(VERSION)), m.Welcome), "after it has connected anew"


def test_status_and_cancel_are_answered_while_a_job_computes(tmp_path):
    with backend() as child:
        with raw(child.told()["endpoint"], child.server.public, child.client) as connection:
            job = submit(source(tmp_path, takes=2, pause=30))
            assert connection.ask(job).status.state is m.JobState.QUEUED
            held = connection.send(m.GetResults(job.job, 0, 1, m.MAX_WAIT_MS))
            asked = connection.send(m.GetStatus(job.job))
            number, reply = connection.receive()
            assert number == asked, "the held back request does not stand in the way"
            connection.send(m.Cancel(job.job))
            replies = dict([connection.receive(), connection.receive()])
            assert replies[held].takes == ()
            assert connection.until_final(job.job).state is m.JobState.CANCELLED


def test_a_repeated_submission_does_not_run_twice(tmp_path):
    with backend() as child:
        with raw(child.told()["endpoint"], child.server.public, child.client) as connection:
            count = tmp_path / "count"
            job = submit(source(tmp_path, error=True, count=str(count)))
            for _ in range(3):
                connection.ask(job)
            connection.until_final(job.job)
            assert connection.ask(job).status.state is m.JobState.FAILED
            assert count.read_text().splitlines() == ["run"]
            again = m.Submit(job.job, job.options, attempt=2)
            assert connection.ask(again).status.state is m.JobState.QUEUED
            connection.until_final(job.job)
            assert count.read_text().splitlines() == ["run", "run"]
            other = m.Submit(job.job, CaptureOptions("other.jpg"), attempt=3)
            assert connection.ask(other).code is ErrorCode.USAGE


def test_two_clients_are_served(tmp_path):
    with backend() as child:
        endpoint = child.told()["endpoint"]
        with (
            raw(endpoint, child.server.public, child.client) as one,
            raw(endpoint, child.server.public, child.client) as two,
        ):
            jobs = {connection: submit(source(tmp_path, takes=takes)) for connection, takes in ((one, 2), (two, 3))}
            for connection, job in jobs.items():
                connection.ask(job)
            for connection, job in jobs.items():
                connection.until_final(job.job)
                results = connection.ask(m.GetResults(job.job, 0, 10))
                assert len(results.takes) == results.report["faces"]
            assert one.ask(m.GetStatus(jobs[two].job)).status.takes == 3
            assert len(two.ask(m.ListJobs()).jobs) == 2


def test_a_thousand_unread_replies_are_kept():
    with backend() as child:
        with raw(child.told()["endpoint"], child.server.public, child.client) as connection:
            connection.socket.rcvhwm = 10
            sent = [connection.send(m.ListJobs()) for _ in range(3000)]
            time.sleep(1)
            assert [connection.receive()[0] for _ in sent] == sent


def test_unknown_jobs_and_heads_are_told():
    with backend() as child:
        with raw(child.told()["endpoint"], child.server.public, child.client) as connection:
            for request in (
                m.GetStatus("a" * 32),
                m.Cancel("a" * 32),
                m.GetResults("a" * 32, 0, 1),
                m.GetOverlay("a" * 32),
            ):
                assert connection.ask(request).code is ErrorCode.NO_SUCH_JOB
            assert connection.ask(m.GetHead("a" * 64)).code is ErrorCode.WRONG_HEAD


def test_heads_are_answered_once_they_are_loaded(monkeypatch):
    monkeypatch.setenv("FAKE_LOAD_SECONDS", "0.3")
    with backend() as child:
        with raw(child.told()["endpoint"], child.server.public, child.client) as connection:
            assert not connection.ask(m.Hello(VERSION)).ready
            (status,) = connection.ask(m.ListModels()).heads
            assert connection.ask(m.GetHead(status.sha256)).head.sha256 == status.sha256
            assert connection.ask(m.Hello(VERSION)).ready


def test_the_log_tells_no_secrets(tmp_path, mien_home):
    with backend() as child:
        with raw(child.told()["endpoint"], child.server.public, child.client) as connection:
            job = submit(source(tmp_path))
            connection.ask(job)
            connection.until_final(job.job)
        child.process.stdin.close()
        child.process.wait(5)
        written = (mien_home / "logs" / "backend.log").read_text() + child.process.stderr.read().decode()
        for secret in (child.server.secret, child.client.public):
            assert secret not in written


def test_a_log_that_cannot_be_written_is_told(mien_home):
    (mien_home / "logs" / "backend.log").mkdir(parents=True)
    with backend() as child:
        assert child.told()["error"]["code"] == ErrorCode.NOT_PERMITTED
        assert child.process.wait(5) == EXIT_CODES[ErrorCode.NOT_PERMITTED]


def test_at_a_terminal_it_says_what_to_do_instead(mien_home):
    if sys.platform == "win32":
        pytest.skip("needs a pseudo terminal")
    import pty

    master, slave = pty.openpty()
    run = subprocess.run([sys.executable, str(FAKE_BACKEND)], stdin=slave, capture_output=True, timeout=20)
    os.close(master)
    os.close(slave)
    assert "--remote" in json.loads(run.stdout)["error"]["remedy"]
