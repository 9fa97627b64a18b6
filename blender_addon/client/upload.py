# SPDX-License-Identifier: GPL-3.0-or-later
"""Sending files to a backend on another machine: hash each, then send piece after acknowledged piece."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Sequence
from typing import BinaryIO

import numpy as np

from ..contract.errors import ErrorCode, MienError
from ..contract.files import file_error
from ..contract.messages import UPLOAD_CHUNK, BeginUpload, Reply, UploadChunk, Uploaded
from ..contract.options import CaptureOptions
from .connection import Connection

_HASH_SECONDS = 0.004
_CHUNK_TIMEOUT = 30.0
_PATTERN = re.compile(r"#|%0?\d*d")


def check_sendable(options: CaptureOptions) -> None:
    """Make sure that a backend on another machine can get the files of a capture.

    Raises:
        MienError: NOT_PERMITTED for a camera; USAGE for numbered images, of which each would be a file of its own.
    """
    if options.camera is not None:
        message = "A backend on another machine cannot use a camera of this one."
        raise MienError(ErrorCode.NOT_PERMITTED, message, "Use a backend on this machine for live captures.")
    for path in (options.source, *options.references):
        pattern = _PATTERN.search(os.path.basename(path)) and not os.path.isfile(path)
        if pattern or os.path.isdir(path):
            message = f"{path} stands for many images, and a backend on another machine takes single files."
            raise MienError(ErrorCode.USAGE, message, "Make a video of them, or use a backend on this machine.")


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


class UploadQueue:
    """Several files, sent one after the other.

    Args:
        paths: The files.

    Raises:
        MienError: MISSING_FILE or NOT_PERMITTED.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = paths
        self._sizes = [_size(path) for path in paths]
        self._present: Upload | None = None
        self.hashes: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether the backend has all of them."""
        return len(self.hashes) == len(self._paths)

    @property
    def done(self) -> float:
        """How much of them has arrived, 0 to 1."""
        sent = len(self.hashes)
        present = self._sizes[sent] * self._present.done if self._present else 0.0
        return min((sum(self._sizes[:sent]) + present) / max(sum(self._sizes), 1), 1.0)

    def step(self, link: Connection, now: float) -> None:
        """Go on with the present file for a few milliseconds.

        Args:
            link: Where to send.
            now: Monotonic seconds.

        Raises:
            MienError: Why a file cannot get there.
        """
        if self.complete:
            return
        if self._present is None:
            self._present = Upload(self._paths[len(self.hashes)])
        self._present.step(link, now)
        if self._present.error:
            raise self._present.error
        if self._present.complete:
            self.hashes += (self._present.sha256,)
            self.close()

    def close(self) -> None:
        """Let go of the present file."""
        if self._present is not None:
            self._present.close()
            self._present = None


def _size(path: str) -> int:
    try:
        with open(path, "rb") as file:
            return os.fstat(file.fileno()).st_size
    except OSError as error:
        raise file_error(path, error, "read") from error
