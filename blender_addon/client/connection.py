# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests and replies over one encrypted socket, without ever waiting for it."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

from ..contract.errors import ErrorCode, MienError
from ..contract.keys import KeyPair, is_key
from ..contract.messages import MAX_MESSAGE, MAX_REQUEST_FRAME, ErrorReply, Reply, Request
from ..contract.wire import decode, encode, request_id_of, too_large

DRAIN_SECONDS = 0.005
"""A `pump` handles no further message after this long; one takes up to 5 ms."""
LARGE_BYTES = 1 << 20
"""Replies larger than this (heads, long takes, overlays) are decoded in a thread of their own."""
TRIES = 3
_REFUSALS = 3
_HEARTBEAT_MS = 5000
_HEARTBEAT_TIMEOUT_MS = 20000

OnReply = Callable[[Reply | MienError], None]
_Buffers = list[memoryview]


def import_zmq() -> ModuleType:
    """The zmq module, which ships with the add-on as a wheel.

    Raises:
        MienError: SETUP_FAILED when it is missing.
    """
    try:
        import zmq
        import zmq.utils.monitor  # noqa: F401  # used through the returned module
    except ImportError as error:
        message = "The Python package zmq is missing."
        remedy = "Install the Mien package made for this system and Blender."
        raise MienError(ErrorCode.SETUP_FAILED, message, remedy) from error
    return zmq


@dataclass
class _Pending:
    frames: list[bytes | memoryview]
    on_reply: OnReply
    timeout: float
    deadline: float
    tries_left: int


class Connection:
    """A connection to one backend. Requests are repeated when no reply comes, so every request must be harmless to
    repeat.

    Args:
        endpoint: `tcp://HOST:PORT`.
        server_key: The backend's public key in Z85.
        keys: This client's key pair.
        child: Whether the backend is a process of this machine, which only matters for the words of errors.

    Attributes:
        failure: Why the backend cannot be talked to (UNAUTHORISED, VERSION_MISMATCH), once known.
    """

    def __init__(self, endpoint: str, server_key: str, keys: KeyPair, child: bool = False) -> None:
        self._zmq = zmq = import_zmq()
        if not is_key(server_key):
            message = f"The key of the backend at {endpoint} is not a key."
            remedy = "Enter the 40 characters that 'mien serve --remote' prints, in the add-on's preferences."
            raise MienError(ErrorCode.UNAUTHORISED, message, remedy)
        self.failure: MienError | None = None
        self._endpoint = endpoint
        self._child = child
        self._pending: dict[int, _Pending] = {}
        self._outbox: deque[int] = deque()
        self._last_id = 0
        self._decoded: queue.SimpleQueue[tuple[int, Reply | MienError]] = queue.SimpleQueue()
        self._refusals = 0
        self._context = zmq.Context()
        self._socket = socket = self._context.socket(zmq.DEALER)
        socket.linger = 0
        socket.maxmsgsize = MAX_MESSAGE
        socket.reconnect_ivl_max = 2000
        socket.heartbeat_ivl = _HEARTBEAT_MS
        socket.heartbeat_timeout = _HEARTBEAT_TIMEOUT_MS
        socket.curve_serverkey = server_key.encode()
        socket.curve_publickey = keys.public.encode()
        socket.curve_secretkey = keys.secret.encode()
        self._monitor = socket.get_monitor_socket(
            zmq.EVENT_HANDSHAKE_SUCCEEDED
            | zmq.EVENT_HANDSHAKE_FAILED_AUTH
            | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
            | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
        )
        try:
            socket.connect(endpoint)
        except zmq.ZMQError as error:
            self.close()
            message = f"The address {endpoint} cannot be used: {error.strerror}."
            remedy = "Give the backend's address in the form tcp://HOST:PORT."
            raise MienError(ErrorCode.USAGE, message, remedy) from error

    def send(self, request: Request, now: float, on_reply: OnReply, timeout: float = 10.0, tries: int = TRIES) -> None:
        """Send a request.

        Args:
            request: What to ask.
            now: Monotonic seconds.
            on_reply: Called once, by `drain`, with the reply or with the error: the backend's, or NO_NETWORK after all
                tries.
            timeout: Seconds to wait before the request is repeated.
            tries: How often it is sent in all.

        Raises:
            MienError: TOO_LARGE.
        """
        self._last_id += 1
        frames = encode(request, self._last_id)
        if largest := max((len(frame) for frame in frames if len(frame) > MAX_REQUEST_FRAME), default=0):
            raise too_large(largest)
        self._pending[self._last_id] = _Pending(frames, on_reply, timeout, now + timeout, tries - 1)
        self._outbox.append(self._last_id)
        self._flush()

    def drain(self, now: float, limit: float = DRAIN_SECONDS) -> None:
        """Handle what has arrived, for `limit` seconds at most, then repeat what has waited too long.

        Args:
            now: Monotonic seconds.
            limit: Seconds.
        """
        self._watch_handshake()
        end = time.perf_counter() + limit
        while self._receive():
            if time.perf_counter() >= end:
                return  # more is waiting; only when all was read is a missing reply really missing
        self._repeat(now)
        self._flush()

    def _receive(self) -> bool:
        """Take one message; says whether there may be more."""
        if not self._decoded.empty():
            self._handle(*self._decoded.get())
            return self.failure is None
        try:
            # Without a copy: that of a long take would take longer than its decoding.
            frames = self._socket.recv_multipart(self._zmq.NOBLOCK, copy=False)
        except self._zmq.Again:
            return False
        buffers = [frame.buffer for frame in frames]
        if sum(map(len, buffers)) > LARGE_BYTES:
            threading.Thread(target=self._decode_large, args=(buffers,), name="mien-decode", daemon=True).start()
        else:
            self._handle(*_decoded(buffers))
        return self.failure is None

    def _decode_large(self, buffers: _Buffers) -> None:
        self._decoded.put(_decoded(buffers))

    def _handle(self, request_id: int, result: Reply | MienError) -> None:
        if isinstance(result, MienError) and result.code is ErrorCode.VERSION_MISMATCH:
            self.failure = result
        # A repeated request is answered twice; the second reply finds nothing.
        if pending := self._pending.pop(request_id, None):
            pending.on_reply(result)

    def _repeat(self, now: float) -> None:
        late = [(number, pending) for number, pending in self._pending.items() if pending.deadline <= now]
        for number, pending in late:
            if pending.tries_left <= 0:
                del self._pending[number]
                pending.on_reply(self._silence())
                continue
            pending.tries_left -= 1
            pending.deadline = now + pending.timeout
            self._outbox.append(number)

    def _silence(self) -> MienError:
        if self._child:
            message = "The backend does not answer."
            return MienError(ErrorCode.BACKEND_DIED, message, "Restart it from the panel's menu, then capture again.")
        message = f"The backend at {self._endpoint} does not answer."
        remedy = "Check that it runs and that its address and the network are right, then try again."
        return MienError(ErrorCode.NO_NETWORK, message, remedy, {"endpoint": self._endpoint})

    def _flush(self) -> None:
        while self._outbox:
            if pending := self._pending.get(self._outbox[0]):
                try:
                    self._socket.send_multipart(pending.frames, self._zmq.NOBLOCK)
                except self._zmq.Again:
                    return
            self._outbox.popleft()

    def _watch_handshake(self) -> None:
        zmq = self._zmq
        while True:
            try:
                event = zmq.utils.monitor.recv_monitor_message(self._monitor, zmq.NOBLOCK)["event"]
            except zmq.Again:
                return
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self._refusals = 0
                continue
            # A refusal without a reason also happens while a backend starts or ends: only repeated ones count.
            self._refusals += _REFUSALS if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH else 1
            if self._refusals >= _REFUSALS and self.failure is None:
                message = f"The backend at {self._endpoint} does not accept the keys."
                remedy = (
                    "Check the backend's key in the preferences, and add this Blender's key to the backend's clients."
                )
                self.failure = MienError(ErrorCode.UNAUTHORISED, message, remedy, {"endpoint": self._endpoint})

    def close(self) -> None:
        """Close at once; what was not sent is dropped and no callback is called any more."""
        self._pending.clear()
        self._outbox.clear()
        self._context.destroy(linger=0)


def _decoded(buffers: _Buffers) -> tuple[int, Reply | MienError]:
    """Id and content of a reply, or why it cannot be read."""
    try:
        request_id, message = decode(buffers)
    except MienError as error:
        return request_id_of(buffers), error
    return request_id, message.error.to_error() if isinstance(message, ErrorReply) else message
