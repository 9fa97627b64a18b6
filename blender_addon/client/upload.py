# SPDX-License-Identifier: GPL-3.0-or-later
"""Sending a source to a backend on another machine: hash it, then send piece after acknowledged piece."""

from __future__ import annotations

import hashlib
import os
import time
from typing import BinaryIO

import numpy as np

from ..contract.errors import ErrorCode, MienError
from ..contract.files import file_error
from ..contract.messages import UPLOAD_CHUNK, BeginUpload, Reply, UploadChunk, Uploaded
from .connection import Connection

_HASH_SECONDS = 0.004
_CHUNK_TIMEOUT = 30.0


class Upload:
    """One file on its way.

    Args:
        path: The file.

    Attributes:
        sha256: Its hash, once known.
        complete: Whether the backend has all of it.
        error: Why it cannot get there.

    Raises:
        MienError: MISSING_FILE or NOT_PERMITTED.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        try:
            self._file: BinaryIO = open(path, "rb")  # noqa: SIM115  # read over many calls; closed in `close`
            self._size = os.fstat(self._file.fileno()).st_size
        except OSError as error:
            raise file_error(path, error, "read") from error
        self._hash = hashlib.sha256()
        self._sent = 0
        self._link: Connection | None = None
        self._now = 0.0
        self.sha256 = ""
        self.complete = False
        self.error: MienError | None = None

    @property
    def done(self) -> float:
        """How much of it has arrived, 0 to 1."""
        return 1.0 if self.complete else self._sent / max(self._size, 1)

    def step(self, link: Connection, now: float) -> None:
        """Hash for a few milliseconds, or keep the pieces flowing.

        Args:
            link: Where to send.
            now: Monotonic seconds.
        """
        self._link, self._now = link, now
        if not self.sha256:
            self._hash_some()
            if self.sha256:
                self._ask(BeginUpload(self.sha256, self._size, os.path.basename(self._path)))

    def _hash_some(self) -> None:
        end = time.perf_counter() + _HASH_SECONDS
        while time.perf_counter() < end:
            data = self._read(None)
            if not data:
                self.sha256 = self._hash.hexdigest()
                return
            self._hash.update(data)

    def _read(self, offset: int | None) -> bytes:
        try:
            if offset is not None:
                self._file.seek(offset)
            return self._file.read(UPLOAD_CHUNK)
        except OSError as error:
            self.error = file_error(self._path, error, "read")
            return b""

    def _ask(self, request: BeginUpload | UploadChunk) -> None:
        if self._link is not None and self.error is None:
            self._link.send(request, self._now, self._on_reply, timeout=_CHUNK_TIMEOUT)

    def _on_reply(self, reply: Reply | MienError) -> None:
        if self._file.closed:
            return  # cancelled in the meantime
        if isinstance(reply, MienError):
            self.error = reply
        elif isinstance(reply, Uploaded):
            self._sent = reply.received
            self.complete = reply.complete
            if not self.complete:
                self._send_piece(reply.received)

    def _send_piece(self, offset: int) -> None:
        data = self._read(offset)
        if not data and self.error is None:
            message = f"{self._path} became shorter while it was sent."
            self.error = MienError(ErrorCode.WRONG_HASH, message, "Capture it again once it is no longer written to.")
        self._ask(UploadChunk(self.sha256, offset, np.frombuffer(data, np.uint8)))

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()
        self._link = None
