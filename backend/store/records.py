# SPDX-License-Identifier: GPL-3.0-or-later
"""Append-only files of fixed-size records: what was appended survives the end of the process, however it ends."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from blender_addon.contract.files import file_error

CHECKED_AT_ONCE = 256
"""Records that are read at once when a file is opened."""


class RecordFile:
    """Records of one type, one after the other. For one process at a time.

    Appended records are handed to the system at once, which keeps them when the process is killed. Each is stored with
    a checksum of its content and its place; when the file is opened again, all from the first one on that is cut off
    or damaged are dropped. A power cut may lose the newest ones.

    Args:
        path: The file; made if missing.
        dtype: Type of a record, without objects.

    Raises:
        MienError: NO_SPACE, NOT_PERMITTED or MISSING_FILE.
    """

    def __init__(self, path: Path, dtype: np.dtype) -> None:
        self._path = path
        self.dtype = np.dtype(dtype)
        self._stored = np.dtype([("record", self.dtype), ("check", "<u4")])
        try:
            self._file = open(path, "r+b" if path.exists() else "w+b", buffering=0)  # noqa: SIM115  # kept open
            self._count = os.fstat(self._file.fileno()).st_size // self._stored.itemsize
        except OSError as error:
            raise file_error(path, error) from error
        self.keep(self._whole())

    def __len__(self) -> int:
        """Number of whole records."""
        return self._count

    def append(self, records: np.ndarray) -> None:
        """Add records (N,) of the file's type.

        Raises:
            MienError: NO_SPACE or NOT_PERMITTED; the file then ends with the last whole record.
        """
        stored = np.empty(len(records), dtype=self._stored)
        stored["record"] = records
        stored["check"] = list(_checks(stored["record"], self._count))
        view = _bytes(stored)
        try:
            self._file.seek(self._count * self._stored.itemsize)
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            self._file.truncate(self._count * self._stored.itemsize)
            raise file_error(self._path, error) from error
        self._count += len(records)

    def read(self, first: int, count: int) -> np.ndarray:
        """Records (N,) from `first` on; fewer than `count` at the end.

        Raises:
            MienError: NOT_PERMITTED.
        """
        return np.ascontiguousarray(self._read(first, count)["record"])

    def keep(self, count: int) -> None:
        """Drop all records from `count` on.

        Raises:
            MienError: NOT_PERMITTED.
        """
        self._count = min(count, self._count)
        try:
            self._file.truncate(self._count * self._stored.itemsize)
        except OSError as error:
            raise file_error(self._path, error) from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _read(self, first: int, count: int) -> np.ndarray:
        count = max(0, min(count, self._count - first))
        stored = np.empty(count, dtype=self._stored)
        view = _bytes(stored)
        try:
            self._file.seek(first * self._stored.itemsize)
            while view:
                got = self._file.readinto(view)
                if not got:
                    raise OSError(5, "the file became shorter while it was read")
                view = view[got:]
        except OSError as error:
            raise file_error(self._path, error, "read") from error
        return stored

    def _whole(self) -> int:
        """How many records there are before the first damaged one."""
        for first in range(0, self._count, CHECKED_AT_ONCE):
            stored = self._read(first, CHECKED_AT_ONCE)
            for place, check in enumerate(_checks(stored["record"], first)):
                if check != stored["check"][place]:
                    return first + place
        return self._count


def _checks(records: np.ndarray, first: int) -> Iterator[int]:
    """The checksum of each record, which differs with its place in the file."""
    for place, record in enumerate(records, first):
        yield zlib.crc32(place.to_bytes(8, "little"), zlib.crc32(record.tobytes()))


def _bytes(records: np.ndarray) -> memoryview:
    return memoryview(records.view(np.uint8) if len(records) else b"")
