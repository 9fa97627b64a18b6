# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading pickles that others made without running anything in them.

A pickle is a program. Here it may only call a handful of constructors, all of them ours (`constructors.py`). What
numpy, chumpy, scipy.sparse and torch would build becomes plain arrays.
"""

from __future__ import annotations

import errno
import gzip
import io
import math
import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from backend.weights.constructors import Refused, StorageKindStandIn, StorageStandIn, constructor
from backend.weights.plain import Keep, plain
from backend.weights.stored import StoredArray
from backend.weights.torch_files import LEGACY_MAGIC, Storages, find_pickle, read_legacy, read_zip
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import MAX_ARRAY_BYTES, file_error

MAX_FILE_BYTES = 16 << 30
"""Largest file whose arrays are read one by one: checkpoints with all that training leaves in them have some GiB."""
MAX_PICKLE_BYTES = 1 << 26
"""Largest pickles in a container, unpacked: descriptions of tensors, of which the published ones have less than 1 MiB,
and arrays of objects."""
MAX_PICKLES_BYTES = 1 << 26
"""Largest file of several pickles, unpacked: landmarks or a segmentation of one picture."""
_BOMB_BYTES, _BOMB_RATIO = 1 << 30, 100
"""Numbers that are nearly all zeros honestly pack to a thousandth: they may unpack to the first out of any file, ..."""
_PICKLE_BOMB_BYTES, _PICKLE_BOMB_RATIO = 1 << 20, 10
"""... while each byte of a pickle can make an object of a hundred. torch does not pack its own at all."""
_LEGACY_START_BYTES = 32
_PORTION = 1 << 24
_REMEDY = "Download the file anew from its publisher; if it is the original, it is of a kind Mien does not know."
_NpyHeader = tuple[tuple[int, ...], bool, np.dtype]
"""Shape, whether columns come first, and type."""
# What a damaged or forged pickle raises from inside the unpickler, depending on where it breaks.
_BROKEN = (
    pickle.UnpicklingError,
    EOFError,
    ValueError,
    TypeError,
    AttributeError,
    IndexError,
    KeyError,
    MemoryError,
    OverflowError,
    RecursionError,
    RuntimeError,
    SyntaxError,
    struct.error,
    NotImplementedError,  # zipfile's word for a compression that it lacks
    zipfile.BadZipFile,
    zlib.error,
)


class _Unpickler(pickle._Unpickler):  # type: ignore[name-defined, misc]
    """Calls nothing but our own constructors.

    The unpickler in Python: the one in C makes room for as many memories as the file says, 32 GB for seven bytes.
    """

    def __init__(self, file: BinaryIO, storages: Storages | None) -> None:
        super().__init__(file, encoding="latin1")
        self._storages = storages

    def find_class(self, module: str, name: str) -> Callable[..., object] | StorageKindStandIn:
        return constructor(f"{module}.{name}")

    def persistent_load(self, pid: object) -> StorageStandIn:
        if self._storages is None:
            raise Refused("an object outside the file")
        return self._storages(pid)


def load_restricted(path: str | os.PathLike[str], *, code: ErrorCode = ErrorCode.BAD_HEAD) -> object:
    """Read a `.pkl`, `.npy`, `.npz` or a file of `torch.save` made by anyone; no code in it is ever run.

    Python 2 strings are read as latin1. chumpy arrays, scipy sparse matrices and tensors become dense numpy arrays; an
    object array becomes its one element or a list.

    Args:
        path: file to read.
        code: code of the error for a file that is damaged or holds something else.

    Returns:
        Plain dicts, lists, tuples, numbers, strings, bytes and arrays; `Unreadable` for a chumpy expression or a set.

    Raises:
        MienError: MISSING_FILE, NOT_PERMITTED, TOO_LARGE, or `code` with `details["cause"]` "code" (it wants to run
            something) or "damaged".
    """
    details: dict[str, object] = {"path": str(path)}
    with _explained(path, code):
        if os.path.getsize(path) > MAX_ARRAY_BYTES:
            raise MienError(ErrorCode.TOO_LARGE, f"{path} is larger than any such file.", _REMEDY, details)
        with open(path, "rb") as file:
            return _read(file, None)


def load_pickles(path: str | os.PathLike[str], *, code: ErrorCode = ErrorCode.BAD_HEAD) -> list[object]:
    """Read all pickles that stand one behind the other in a small file, compressed with gzip or not.

    Args:
        path: file to read.
        code: as for `load_restricted`.

    Returns:
        What each holds, as `load_restricted` has it.

    Raises:
        MienError: as `load_restricted` does.
    """
    details: dict[str, object] = {"path": str(path)}
    with _explained(path, code):
        with open(path, "rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            try:
                data = (gzip.GzipFile(fileobj=file) if packed else file).read(MAX_PICKLES_BYTES + 1)
            except gzip.BadGzipFile as error:
                raise zlib.error from error
        if len(data) > MAX_PICKLES_BYTES:
            raise MienError(ErrorCode.TOO_LARGE, f"{path} is larger than any such file.", _REMEDY, details)
        stream = io.BytesIO(data)
        contents = []
        while stream.tell() < len(data):
            contents.append(plain(_load(stream, None)))
        return contents


@contextmanager
def open_restricted(path: str | os.PathLike[str], *, code: ErrorCode = ErrorCode.BAD_HEAD) -> Iterator[object]:
    """As `load_restricted`, but the arrays of a `.npz` and of a file of `torch.save` stay in the file, as
    `StoredArray`, until they are read one by one; so such a file may have up to `MAX_FILE_BYTES`.

    Raises:
        MienError: As `load_restricted` does, and from reading an array.
    """
    details: dict[str, object] = {"path": str(path)}
    with ExitStack() as stack:
        with _explained(path, code):
            if os.path.getsize(path) > MAX_FILE_BYTES:
                raise MienError(ErrorCode.TOO_LARGE, f"{path} is larger than any such file.", _REMEDY, details)
            file = stack.enter_context(open(path, "rb"))

            def keep(shape: tuple[int, ...], dtype: np.dtype, read: Callable[[], np.ndarray]) -> StoredArray:
                def explained() -> np.ndarray:
                    with _explained(path, code):
                        return read()

                return StoredArray(shape, dtype, explained)

            content = _read(file, keep)
        yield content


@contextmanager
def _explained(path: str | os.PathLike[str], code: ErrorCode) -> Iterator[None]:
    """What goes wrong with a file as an error for the user."""
    details: dict[str, object] = {"path": str(path)}
    try:
        yield
    except OSError as error:
        raise file_error(path, error, "read") from error
    except Refused as error:
        message = f"{path} was not opened: it holds {error}, which a file of numbers has no use for."
        raise MienError(code, message, _REMEDY, details | {"cause": "code"}) from error
    except _BROKEN as error:
        message = f"{path} is damaged, cut off or not a file of arrays ({type(error).__name__})."
        raise MienError(code, message, _REMEDY, details | {"cause": "damaged"}) from error


def _read(file: BinaryIO, keep: Keep | None) -> object:
    start = file.read(6)
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if start.startswith(b"PK\x03\x04"):
        return _read_archive(file, size, keep)
    if start == b"\x93NUMPY":
        return _read_npy(file, size)
    return _unpickle(file, size, keep)


def _read_archive(file: BinaryIO, size: int, keep: Keep | None) -> object:
    try:
        return _read_members(file, size, keep)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise zipfile.BadZipFile from error  # it names a place before its beginning


def _read_members(file: BinaryIO, size: int, keep: Keep | None) -> object:
    archive = zipfile.ZipFile(file)  # not closed here: what stays in the file is read later; the file is the caller's
    members = archive.infolist()
    unpacked = sum(member.file_size for member in members)
    if unpacked > (MAX_FILE_BYTES if keep else MAX_ARRAY_BYTES):
        raise Refused("more data than fits into memory")
    if unpacked > max(_BOMB_BYTES, _BOMB_RATIO * size):  # of all, as members may lie over each other
        raise Refused("data packed to next to nothing")
    if pickled := find_pickle(archive.namelist()):
        _check_pickles(archive.getinfo(pickled).file_size, size)
        return plain(read_zip(archive, pickled, _load), keep)
    headers = [_member_header(archive, member) for member in members]
    objects = [member.file_size for member, (*_, dtype) in zip(members, headers, strict=True) if dtype.hasobject]
    _check_pickles(sum(objects), size)
    return {
        Path(member.filename).stem: _read_member(archive, member, header, keep)
        for member, header in zip(members, headers, strict=True)
    }


def _check_pickles(unpacked: int, packed: int) -> None:
    """Refuse pickles in a container of `packed` bytes that would fill the memory with objects."""
    if unpacked > MAX_PICKLE_BYTES:
        raise Refused("a description larger than any")
    if unpacked > max(_PICKLE_BOMB_BYTES, _PICKLE_BOMB_RATIO * packed):
        raise Refused("a description packed to next to nothing")


def _member_header(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> _NpyHeader:
    with archive.open(member) as stream:
        return _npy_header(stream)  # type: ignore[arg-type]


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, header: _NpyHeader, keep: Keep | None) -> object:
    def whole() -> object:
        with archive.open(member) as stream:
            return _read_npy(stream, member.file_size)  # type: ignore[arg-type]

    shape, _, dtype = header
    return whole() if keep is None or dtype.hasobject else keep(shape, dtype, whole)  # type: ignore[arg-type]


def _npy_header(file: BinaryIO) -> _NpyHeader:
    version = np.lib.format.read_magic(file)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return header(file)


def _read_npy(file: BinaryIO, size: int) -> object:
    """An array from a file of `size` bytes, straight into its own memory."""
    shape, fortran, dtype = _npy_header(file)
    if dtype.hasobject:
        if size > MAX_ARRAY_BYTES:
            raise Refused("more data than fits into memory")
        return _unpickle(file, 0, None)
    if math.prod(shape) * dtype.itemsize > size:
        raise ValueError("an array larger than its file")
    flat = np.empty(math.prod(shape), dtype)
    rest = memoryview(flat.view(np.uint8))
    while len(rest):
        count = file.readinto(rest[:_PORTION])  # type: ignore[attr-defined]
        if not count:
            raise EOFError("an array that is cut off")
        rest = rest[count:]
    return flat.reshape(shape, order="F" if fortran else "C")


def _unpickle(file: BinaryIO, size: int, keep: Keep | None) -> object:
    if keep and size > MAX_ARRAY_BYTES and not _is_legacy(file):
        raise Refused("more data than fits into memory")
    content = _load(file, None)
    if type(content) is int and content == LEGACY_MAGIC:
        content = read_legacy(file, size, _load)
    return plain(content, keep)


def _is_legacy(file: BinaryIO) -> bool:
    """Whether only the descriptions in a pickle are pickled, and the numbers lie behind them."""
    start = file.read(_LEGACY_START_BYTES)
    file.seek(0)
    return LEGACY_MAGIC.to_bytes(10, "little") in start


def _load(file: BinaryIO, storages: Storages | None) -> object:
    return _Unpickler(file, storages).load()
