# SPDX-License-Identifier: GPL-3.0-or-later
"""Append-only files of fixed-size records: what was appended survives the end of the process, however it ends."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from blender_addon.contract.files import file_error


class RecordFile:
    """Records of one type, one after the other. For one process at a time.

    Appended records are handed to the system at once, which keeps them when the process is killed; a record that was
    cut off is dropped when the file is opened again. A power cut may lose the newest ones.

    Args:
        path: The file; made if missing.
        dtype: Type of a record, without objects.

    Raises:
        MienError: NO_SPACE, NOT_PERMITTED or MISSING_FILE.
    """

    def __init__(self, path: Path, dtype: np.dtype) -> None:
        self._path = path
        self.dtype = np.dtype(dtype)
        try:
            self._file = open(path, "r+b" if path.exists() else "w+b", buffering=0)  # noqa: SIM115  # kept open
            self._count = os.fstat(self._file.fileno()).st_size // self.dtype.itemsize
            self._file.truncate(self._count * self.dtype.itemsize)
        except OSError as error:
            raise file_error(path, error) from error

    def __len__(self) -> int:
        """Number of whole records."""
        return self._count

    def append(self, records: np.ndarray) -> None:
        """Add records (N,) of the file's type.

        Raises:
            MienError: NO_SPACE or NOT_PERMITTED; the file then ends with the last whole record.
        """
        view = _bytes(np.ascontiguousarray(records, dtype=self.dtype))
        try:
            self._file.seek(self._count * self.dtype.itemsize)
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            self._file.truncate(self._count * self.dtype.itemsize)
            raise file_error(self._path, error) from error
        self._count += len(records)

    def read(self, first: int, count: int) -> np.ndarray:
        """Records (N,) from `first` on; fewer than `count` at the end.

        Raises:
            MienError: NOT_PERMITTED.
        """
        count = max(0, min(count, self._count - first))
        records = np.empty(count, dtype=self.dtype)
        view = _bytes(records)
        try:
            self._file.seek(first * self.dtype.itemsize)
            while view:
                got = self._file.readinto(view)
                if not got:
                    raise OSError(5, "the file became shorter while it was read")
                view = view[got:]
        except OSError as error:
            raise file_error(self._path, error, "read") from error
        return records

    def keep(self, count: int) -> None:
        """Drop all records from `count` on."""
        self._count = min(count, self._count)
        self._file.truncate(self._count * self.dtype.itemsize)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _bytes(records: np.ndarray) -> memoryview:
    return memoryview(records.view(np.uint8) if len(records) else b"")
