# SPDX-License-Identifier: GPL-3.0-or-later
"""Heads that the backend sent, kept on disk by their hashes and revisions."""

from __future__ import annotations

import queue
import threading
from contextlib import suppress
from pathlib import Path

from ..contract.errors import ErrorCode, MienError
from ..contract.files import make_folder
from ..contract.head import HeadDescription


class HeadCache:
    """Heads in a folder, as `<sha256>.npz`, or `<sha256>.<revision>.npz` where something came to a head.

    Args:
        folder: Where they are kept; made when needed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._memory: dict[str, HeadDescription] = {}
        self._present: dict[str, str] = {}
        self._saved: queue.SimpleQueue[tuple[str, MienError | None]] = queue.SimpleQueue()

    def expect(self, sha256: str, revision: str) -> None:
        """From now on, only this revision of a head counts: the backend has no other."""
        self._present[sha256] = revision
        if sha256 in self._memory and self._memory[sha256].revision != revision:
            del self._memory[sha256]

    def path(self, sha256: str) -> Path:
        """Where the head with this hash is or will be; of several revisions the newest, unless one is expected."""
        if sha256 in self._present:
            return self._path(sha256, self._present[sha256])
        if head := self._memory.get(sha256):
            return self._path(sha256, head.revision)
        found = sorted(self._folder.glob(f"{sha256}*.npz"), key=lambda path: path.stat().st_mtime_ns)
        return found[-1] if found else self._path(sha256, "")

    def _path(self, sha256: str, revision: str) -> Path:
        return self._folder / f"{sha256}{'.' if revision else ''}{revision[:16]}.npz"

    def has(self, sha256: str) -> bool:
        """Whether the head is on disk."""
        return self.path(sha256).is_file()

    def get(self, sha256: str) -> HeadDescription | None:
        """The head with this hash, or None where it is not in the cache; a damaged file is deleted and counts as
        missing.

        Raises:
            MienError: NOT_PERMITTED where the file cannot be read or deleted.
        """
        if sha256 not in self._memory and self.has(sha256):
            path = self.path(sha256)
            try:
                self._memory[sha256] = HeadDescription.load(path)
            except MienError as error:
                if error.code not in (ErrorCode.BAD_HEAD, ErrorCode.UNKNOWN_SCHEMA):
                    raise
                path.unlink(missing_ok=True)
        return self._memory.get(sha256)

    def put(self, head: HeadDescription) -> None:
        """Keep a head. It is compressed in a thread of its own, since that takes longer than Blender may be held up."""
        self._memory[head.sha256] = head
        self._present[head.sha256] = head.revision  # what the backend sends is what it has
        threading.Thread(target=self._save, args=(head,), name="mien-head", daemon=True).start()

    def _save(self, head: HeadDescription) -> None:
        try:
            make_folder(self._folder)
            path = self._path(head.sha256, head.revision)
            head.save(path)
            for other in set(self._folder.glob(f"{head.sha256}*.npz")) - {path}:
                with suppress(OSError):  # an outdated copy that is in use elsewhere is never read again here
                    other.unlink()
        except MienError as error:
            self._saved.put((head.sha256, error))
        else:
            self._saved.put((head.sha256, None))

    def saved(self) -> list[tuple[str, MienError | None]]:
        """Hashes of heads whose saving ended since the last call, with the error if it failed."""
        done = []
        while not self._saved.empty():
            done.append(self._saved.get())
        return done
