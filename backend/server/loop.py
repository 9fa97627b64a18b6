# SPDX-License-Identifier: GPL-3.0-or-later
"""The loop that serves the sockets. It only receives, answers and waits;
whatever takes long happens in the worker's thread.
"""

from __future__ import annotations

import errno
import logging
import re
import signal
import socket as sockets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import zmq

from backend.server.access import Gate
from backend.server.service import Service
from backend.server.worker import internal_error
from blender_addon.contract import messages as m
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.keys import KeyPair
from blender_addon.contract.wire import decode, encode, request_id_of

_MAX_WAITING = 1000
_DEFAULT_WAIT = m.MAX_WAIT_MS / 1000
_HEARTBEAT_MS = 5000
_log = logging.getLogger("mien.loop")


class Waker:
    """Wakes the loop from other threads."""

    def __init__(self) -> None:
        self._reader, self._writer = sockets.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)

    def wake(self) -> None:
        """Make the loop look again. Safe in any thread."""
        try:
            self._writer.send(b"!")
        except BlockingIOError:
            pass  # it is full, so the loop will wake anyway

    def wake_at_signals(self) -> None:
        """Wake the loop at every signal; one that comes just before the loop waits would go unnoticed."""
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)

    def fileno(self) -> int:
        """What to poll."""
        return self._reader.fileno()

    def drain(self) -> None:
        """Forget the calls so far."""
        try:
            while self._reader.recv(4096):
                pass
        except BlockingIOError:
            pass


@dataclass
class _Waiting:
    client: bytes
    id: int
    request: m.Message
    deadline: float


class Loop:
    """Serves one address.

    Args:
        address: `tcp://HOST:PORT`; port `*` for a free one.
        keys: The server's key pair.
        admit: Decides by a client's public key whether it may connect.
        log_file: Where unexpected failures are logged.

    Raises:
        MienError: PORT_TAKEN, or USAGE for an address that cannot be bound.
    """

    def __init__(self, address: str, keys: KeyPair, admit: Callable[[str], bool], log_file: Path) -> None:
        self._log_file = log_file
        self._context = zmq.Context()
        self._gate = Gate(self._context, admit)
        self._router = self._context.socket(zmq.ROUTER)
        self._router.linger = 500  # the last replies (to a shutdown) still leave
        self._router.maxmsgsize = m.MAX_REQUEST_FRAME
        self._router.sndhwm = 0  # a client gets one reply for each request, so its requests bound what waits for it
        self._router.heartbeat_ivl = _HEARTBEAT_MS
        self._gate.guard(self._router, keys)
        self.waker = Waker()
        self.endpoint = self._bind(address)
        self._waiting: list[_Waiting] = []
        self.stopping = False

    def _bind(self, address: str) -> str:
        try:
            self._router.bind(address)
        except zmq.ZMQError as error:
            self.close()
            raise _bind_error(address, error) from error
        return self._router.last_endpoint.decode().rstrip("\0")

    @property
    def port(self) -> int:
        """The bound port."""
        return int(self.endpoint.rpartition(":")[2])

    def run(self, service: Service) -> None:
        """Serve until `stopping` is set or the service wants to stop."""
        poller = zmq.Poller()
        for source in (self._gate.socket, self._router, self.waker.fileno()):
            poller.register(source, zmq.POLLIN)
        while not (self.stopping or service.stopping):
            ready = dict(poller.poll(self._patience()))
            if self._gate.socket in ready:
                self._gate.answer()
            if self.waker.fileno() in ready:
                self.waker.drain()
            if self._router in ready:
                self._receive(service)
            self._answer_waiting(service)

    def _patience(self) -> int | None:
        """Milliseconds until the first held back request must be answered."""
        if not self._waiting:
            return None
        first = min(waiting.deadline for waiting in self._waiting)
        return max(0, round((first - time.monotonic()) * 1000) + 1)

    def _receive(self, service: Service) -> None:
        client, *frames = self._router.recv_multipart()
        try:
            request_id, request = decode(frames)
        except MienError as error:
            self._send(client, request_id_of(frames), m.ErrorReply(m.ErrorInfo.of(error)))
            return
        except Exception as error:  # noqa: BLE001  # one message must not end the service for everybody
            self._send(client, request_id_of(frames), self._internal(error, "Reading a message"))
            return
        if len(self._waiting) >= _MAX_WAITING:
            self._reply(service, client, request_id, request, waited=True)
        elif not self._reply(service, client, request_id, request, waited=False):
            wait = request.wait_ms / 1000 if isinstance(request, (m.GetResults, m.GetPreview)) else _DEFAULT_WAIT
            self._waiting.append(_Waiting(client, request_id, request, time.monotonic() + wait))

    def _answer_waiting(self, service: Service) -> None:
        now = time.monotonic()
        self._waiting = [
            waiting
            for waiting in self._waiting
            if not self._reply(service, waiting.client, waiting.id, waiting.request, waiting.deadline <= now)
        ]

    def _reply(self, service: Service, client: bytes, request_id: int, request: m.Message, waited: bool) -> bool:
        """Answer a request if it can be answered now."""
        try:
            reply = service.answer(request, waited)
        except MienError as error:
            reply = m.ErrorReply(m.ErrorInfo.of(error))
        except Exception as error:  # noqa: BLE001  # one request must not end the service for everybody
            reply = self._internal(error, f"The request {m.type_name(type(request))}")
        if reply is None:
            return False
        self._send(client, request_id, reply)
        return True

    def _internal(self, error: Exception, what: str) -> m.ErrorReply:
        return m.ErrorReply(m.ErrorInfo.of(internal_error(error, what, self._log_file)))

    def _send(self, client: bytes, request_id: int, reply: m.Reply) -> None:
        try:
            frames = encode(reply, request_id)
        except MienError as error:
            frames = encode(m.ErrorReply(m.ErrorInfo.of(error)), request_id)
        self._router.send_multipart(
            [client, *frames]
        )  # to a client that has gone it is dropped; it asks again if it comes back

    def close(self) -> None:
        """Close the sockets, waiting half a second at most."""
        for socket in (self._router, self._gate.socket):
            socket.close()
        self._context.term()  # waits, within the linger time, until the last replies have left


def _bind_error(address: str, error: zmq.ZMQError) -> MienError:
    taken = (zmq.EADDRINUSE, errno.EADDRINUSE, getattr(errno, "WSAEADDRINUSE", errno.EADDRINUSE))
    if error.errno in taken:
        message = f"The address {address} is taken by another program."
        remedy = "End the other program (perhaps another backend) or choose another port with --bind."
        return MienError(ErrorCode.PORT_TAKEN, message, remedy, {"address": address})
    message = f"The address {address} cannot be used: {error.strerror}."
    return MienError(ErrorCode.USAGE, message, "Give an address of this machine, such as tcp://0.0.0.0:47650.")


def check_address(address: str) -> str:
    """Return an address of the form `tcp://HOST:PORT`.

    Raises:
        MienError: USAGE.
    """
    match = re.fullmatch(r"tcp://[^\s/]+:(\d{1,5}|\*)", address)
    if not match or (match[1] != "*" and int(match[1]) > 65535):
        message = f"The address {address!r} is not of the form tcp://HOST:PORT."
        raise MienError(ErrorCode.USAGE, message, "Give an address such as tcp://0.0.0.0:47650.")
    return address
