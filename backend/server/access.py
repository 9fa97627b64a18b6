# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may connect: ZeroMQ's CURVE authentication (RFC 26) with the answers of RFC 27 (ZAP).

The handler runs in the loop that serves the sockets. pyzmq's own one runs an asyncio loop in a thread, which does not
work with the default loop on Windows.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import zmq
from zmq.utils import z85

from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import file_error
from blender_addon.contract.keys import KeyPair, is_key

ZAP_ENDPOINT = "inproc://zeromq.zap.01"
ZAP_DOMAIN = b"mien"

_log = logging.getLogger("mien.access")


class OneClient:
    """Admits one key: that of the process that started this one."""

    def __init__(self, key: str) -> None:
        self._key = key

    def __call__(self, key: str) -> bool:
        """Whether this client may connect."""
        return key == self._key


class KeysFile:
    """Admits the keys of a text file: one key in each line, then anything; lines that start with `#` are comments.

    The file is read at every connection, so that a key can be added or removed while the backend runs.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, key: str) -> bool:
        """Whether this client may connect."""
        try:
            # Editors on Windows begin a file with a mark; what is no UTF-8 holds no key.
            lines = self._path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
        except FileNotFoundError:
            return False
        except OSError as error:
            _log.error("%s", file_error(self._path, error, "read"))
            return False
        return any(words[0] == key for line in lines if (words := line.split()) and is_key(words[0]))


class Gate:
    """Answers libzmq's question whether a client may connect.

    Args:
        context: Context of the guarded socket. The gate must be made before that socket binds.
        admit: Decides by the client's public key in Z85.
    """

    def __init__(self, context: zmq.Context, admit: Callable[[str], bool]) -> None:
        self._admit = admit
        self.socket = context.socket(zmq.REP)
        self.socket.linger = 0
        self.socket.bind(ZAP_ENDPOINT)

    def guard(self, socket: zmq.Socket, keys: KeyPair) -> None:
        """Make a socket a CURVE server that asks this gate."""
        socket.curve_server = True
        socket.curve_publickey = keys.public.encode()
        socket.curve_secretkey = keys.secret.encode()
        socket.zap_domain = ZAP_DOMAIN
        # Without a handler libzmq admits everybody; enforcing the domain turns that into a refusal.
        socket.zap_enforce_domain = True

    def answer(self) -> None:
        """Answer one question; call it when `socket` is readable."""
        frames = self.socket.recv_multipart()
        sequence = frames[1] if len(frames) > 1 else b""
        admitted = self._admits(frames)
        if not admitted:
            _log.warning("a client was refused")
        code, text = (b"200", b"OK") if admitted else (b"400", b"unknown key")
        self.socket.send_multipart([b"1.0", sequence, code, text, b"client" if admitted else b"", b""])

    def _admits(self, frames: list[bytes]) -> bool:
        if len(frames) != 7:
            return False
        version, _, domain, _, _, mechanism, key = frames
        if (version, domain, mechanism) != (b"1.0", ZAP_DOMAIN, b"CURVE") or len(key) != 32:
            return False
        return self._admit(z85.encode(key).decode("ascii"))


def check_keys(fields: object) -> tuple[KeyPair, str]:
    """The server's key pair and the client's public key from the line that the parent process hands over.

    Raises:
        MienError: USAGE, without repeating any of the line.
    """
    names = ("server_public", "server_secret", "client_public")
    if not isinstance(fields, dict) or not all(is_key(fields.get(name)) for name in names):
        message = "The keys on the standard input are missing or damaged."
        raise MienError(ErrorCode.USAGE, message, "Let Blender start the backend, or use 'mien serve --remote'.")
    return KeyPair(fields["server_public"], fields["server_secret"]), fields["client_public"]
