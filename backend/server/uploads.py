# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that clients of a remote backend send, named by their hash and taken in acknowledged pieces."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import file_error, make_folder
from blender_addon.contract.messages import MAX_UPLOAD, BeginUpload, UploadChunk, Uploaded

KEEP_SECONDS = 24 * 3600
"""Uploads that no job refers to are deleted this long after their last piece."""
_HEADROOM = 512 << 20


class Uploads:
    """Uploaded files in a folder: `<sha256>.part` while they arrive, `<sha256>.<extension>` once whole and verified.

    Args:
        root: The folder.
        limit: Largest file in bytes.
        clock: Seconds since 1970.
    """

    def __init__(self, root: Path, limit: int = MAX_UPLOAD, clock: Callable[[], float] = time.time) -> None:
        self._root = root
        self._limit = limit
        self._clock = clock
        self._open: dict[str, tuple[int, str]] = {}  # sha256 -> size, extension
        self._hashes: dict[str, tuple[int, hashlib._Hash]] = {}  # sha256 -> bytes hashed so far, state

    def begin(self, request: BeginUpload) -> Uploaded:
        """Take note of a file and tell how much of it is there already.

        Raises:
            MienError: TOO_LARGE, NO_SPACE, NOT_PERMITTED.
        """
        if whole := self.find(request.sha256):
            os.utime(whole)  # wanted again: not to be deleted before the job refers to it
            return Uploaded(request.sha256, request.size, True)
        if not 0 < request.size <= self._limit:
            message = (
                f"{request.name} has {request.size / 1e9:.2f} GB, the backend takes up to {self._limit / 1e9:.2f} GB."
            )
            raise MienError(ErrorCode.TOO_LARGE, message, "Use a smaller file, or cut it into parts.")
        make_folder(self._root, private=True)
        received = self._received(request.sha256)
        if received > request.size:
            self._part(request.sha256).unlink()
            received = 0
        if shutil.disk_usage(self._root).free < request.size - received + _HEADROOM:
            message = f"The backend's disk has no room for {request.name} ({request.size / 1e9:.2f} GB)."
            raise MienError(ErrorCode.NO_SPACE, message, "Free some space on the backend's disk.")
        self._open[request.sha256] = (request.size, _extension(request.name))
        return Uploaded(request.sha256, received, False)

    def chunk(self, request: UploadChunk) -> Uploaded:
        """Append a piece if it is the next one; the answer says from where to go on in any case.

        Raises:
            MienError: BAD_MESSAGE for a file that was not announced, WRONG_HASH when the whole file is not what was
                announced (it is deleted then), NO_SPACE, NOT_PERMITTED.
        """
        if self.find(request.sha256):
            return Uploaded(request.sha256, request.offset + len(request.data), True)
        if request.sha256 not in self._open:
            raise MienError(ErrorCode.BAD_MESSAGE, "A piece of an unannounced file arrived.", "Start the upload again.")
        size, extension = self._open[request.sha256]
        received = self._received(request.sha256)
        if request.offset != received or request.offset + len(request.data) > size:
            return Uploaded(request.sha256, received, False)
        part = self._part(request.sha256)
        try:
            with open(part, "ab") as file:
                file.write(request.data)
        except OSError as error:
            raise file_error(part, error) from error
        received += len(request.data)
        self._hash_more(request, received)
        if received == size:
            self._complete(request.sha256, part, extension)
        return Uploaded(request.sha256, received, received == size)

    def _hash_more(self, request: UploadChunk, received: int) -> None:
        """Hash as pieces arrive, so that the end of a large upload does not hold up other clients."""
        hashed, state = self._hashes.get(request.sha256, (0, hashlib.sha256()))
        if hashed == request.offset:
            state.update(request.data)
            self._hashes[request.sha256] = (received, state)

    def _complete(self, sha256: str, part: Path, extension: str) -> None:
        hashed, state = self._hashes.pop(sha256, (0, hashlib.sha256()))
        if hashed != part.stat().st_size:  # resumed after a restart: the first pieces were hashed by another process
            with open(part, "rb") as file:
                state = hashlib.file_digest(file, "sha256")
        del self._open[sha256]
        if state.hexdigest() != sha256:
            part.unlink()
            message = "The uploaded file is not the one that was announced; it changed or was damaged on the way."
            raise MienError(ErrorCode.WRONG_HASH, message, "Capture it again.")
        os.replace(part, self._root / f"{sha256}{extension}")

    def find(self, sha256: str) -> Path | None:
        """Path of a whole upload, or None."""
        candidates = (path for path in self._root.glob(f"{sha256}*") if path.suffix != ".part")
        return next(candidates, None)

    def _part(self, sha256: str) -> Path:
        return self._root / f"{sha256}.part"

    def _received(self, sha256: str) -> int:
        try:
            return self._part(sha256).stat().st_size
        except FileNotFoundError:
            return 0

    def prune(self, used: set[str]) -> None:
        """Delete uploads that no job refers to and that were not touched for `KEEP_SECONDS`."""
        for path in self._root.glob("*"):
            try:
                if path.name[:64] not in used and self._clock() - path.stat().st_mtime > KEEP_SECONDS:
                    path.unlink()
            except OSError:
                continue  # it has just become whole, or is being read, which Windows forbids: the next time


def _extension(name: str) -> str:
    """The extension of a file name if it is a plain one; readers may need it to tell formats apart."""
    suffix = Path(name).suffix.lower()
    return suffix if re.fullmatch(r"\.[a-z0-9]{1,8}", suffix) and suffix != ".part" else ".bin"
