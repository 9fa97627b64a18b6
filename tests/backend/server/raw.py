# SPDX-License-Identifier: GPL-3.0-or-later
"""Talks to a backend process without the client, so that tests can do what the client never would."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import zmq

from blender_addon.contract import messages as m
from blender_addon.contract.errors import MienError
from blender_addon.contract.keys import KeyPair, new_key_pair
from blender_addon.contract.wire import decode, encode
from tests.client_driver import FAKE_BACKEND

PATIENCE_MS = 10_000


def new_keys() -> KeyPair:
    """A key pair."""
    return new_key_pair(zmq.curve_keypair)


class Backend:
    """A child backend with pipes."""

    def __init__(self, *arguments: str, first_line: bytes | None = None) -> None:
        self.server, self.client = new_keys(), new_keys()
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            [sys.executable, str(FAKE_BACKEND), *arguments], stdin=pipe, stdout=pipe, stderr=pipe
        )
        if first_line is None:
            keys = {
                "server_public": self.server.public,
                "server_secret": self.server.secret,
                "client_public": self.client.public,
            }
            first_line = json.dumps(keys).encode() + b"\n"
        self.process.stdin.write(first_line)
        self.process.stdin.flush()

    def told(self) -> dict:
        """The line that it prints."""
        return json.loads(self.process.stdout.readline())

    def end(self) -> None:
        """Kill it if it still runs."""
        self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            pipe.close()
        self.process.wait()


@contextmanager
def backend(*arguments: str, first_line: bytes | None = None) -> Iterator[Backend]:
    """A child backend that is killed at the end."""
    child = Backend(*arguments, first_line=first_line)
    try:
        yield child
    finally:
        child.end()


class Raw:
    """One DEALER socket."""

    def __init__(self, endpoint: str, server_key: str, keys: KeyPair | None) -> None:
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.rcvtimeo = PATIENCE_MS
        if keys:
            self.socket.curve_serverkey = server_key.encode()
            self.socket.curve_publickey = keys.public.encode()
            self.socket.curve_secretkey = keys.secret.encode()
        self.socket.connect(endpoint)
        self.number = 0

    def send(self, request: m.Request) -> int:
        """Send a request; returns its id."""
        self.number += 1
        self.socket.send_multipart(encode(request, self.number))
        return self.number

    def receive(self) -> tuple[int, m.Reply | MienError]:
        """The next reply."""
        number, message = decode(self.socket.recv_multipart())
        return number, message.error.to_error() if isinstance(message, m.ErrorReply) else message

    def ask(self, request: m.Request) -> m.Reply | MienError:
        """Send a request and wait for its reply."""
        wanted = self.send(request)
        number, reply = self.receive()
        assert number == wanted
        return reply

    def ask_past(self, request: m.Request, held: int) -> m.Reply | MienError:
        """Send a request and get its reply while that to the request `held` is still held back."""
        wanted = self.send(request)
        number, reply = self.receive()
        assert number == wanted != held
        return reply

    def until_final(self, job: str) -> m.JobStatus:
        """Wait for the end of a job."""
        end = time.monotonic() + PATIENCE_MS / 1000
        while time.monotonic() < end:
            status = self.ask(m.GetResults(job, 10_000, 10_000, 500)).status
            if status.state.final:
                return status
        raise AssertionError("the job does not end")


@contextmanager
def raw(endpoint: str, server_key: str, keys: KeyPair | None) -> Iterator[Raw]:
    """A connection that is closed at the end."""
    connection = Raw(endpoint, server_key, keys)
    try:
        yield connection
    finally:
        connection.context.destroy(linger=0)
