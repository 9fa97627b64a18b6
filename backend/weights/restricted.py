# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading pickles that others made without running anything in them.

A pickle is a program. Here it may only call a handful of constructors, all of them ours (`constructors.py`). What
numpy, chumpy, scipy.sparse and torch would build becomes plain arrays.
"""

from __future__ import annotations

import errno
import io
import math
import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np

from backend.weights.constructors import (
    ArrayStandIn,
    ChumpyStandIn,
    ObjectStandIn,
    Refused,
    SparseStandIn,
    StorageKindStandIn,
    StorageStandIn,
    constructor,
)
from backend.weights.torch_files import LEGACY_MAGIC, Storages, find_pickle, read_legacy, read_zip
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import MAX_ARRAY_BYTES, file_error

_REMEDY = "Download the file anew from its publisher; if it is the original, it is of a kind Mien does not know."
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


class Unreadable:
    """Stands for an object of a known library whose value Mien cannot work out.

    Attributes:
        name: its class.
    """

    def __init__(self, name: str) -> None:
        self.name = name


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
    try:
        if os.path.getsize(path) > MAX_ARRAY_BYTES:
            raise MienError(ErrorCode.TOO_LARGE, f"{path} is larger than any such file.", _REMEDY, details)
        with open(path, "rb") as file:
            return _read(file)
    except OSError as error:
        raise file_error(path, error, "read") from error
    except Refused as error:
        message = f"{path} was not opened: it holds {error}, which a file of numbers has no use for."
        raise MienError(code, message, _REMEDY, details | {"cause": "code"}) from error
    except _BROKEN as error:
        message = f"{path} is damaged or not a file of arrays ({type(error).__name__})."
        raise MienError(code, message, _REMEDY, details | {"cause": "damaged"}) from error


def _read(file: BinaryIO) -> object:
    start = file.read(6)
    file.seek(0)
    if start.startswith(b"PK\x03\x04"):
        return _read_archive(file)
    return _read_npy(file) if start == b"\x93NUMPY" else _unpickle(file)


def _read_archive(file: BinaryIO) -> object:
    try:
        return _read_members(file)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise zipfile.BadZipFile from error  # it names a place before its beginning


def _read_members(file: BinaryIO) -> object:
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if sum(member.file_size for member in members) > MAX_ARRAY_BYTES:
            raise Refused("more data than fits into memory")
        if pickled := find_pickle(archive.namelist()):
            return _plain(read_zip(archive, pickled, _load), {})
        read = {}
        for member in members:
            with archive.open(member) as stream:
                read[Path(member.filename).stem] = _read_npy(io.BytesIO(stream.read()))
        return read


def _read_npy(file: BinaryIO) -> object:
    version = np.lib.format.read_magic(file)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = header(file)
    if dtype.hasobject:
        return _unpickle(file)
    count = math.prod(shape)
    data = file.read(count * dtype.itemsize)
    return np.frombuffer(data, dtype, count).reshape(shape, order="F" if fortran else "C").copy()


def _unpickle(file: BinaryIO) -> object:
    content = _load(file, None)
    if type(content) is int and content == LEGACY_MAGIC:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        _load(file, None)
        content = read_legacy(file, size, _load)
    return _plain(content, {})


def _load(file: BinaryIO, storages: Storages | None) -> object:
    return _Unpickler(file, storages).load()


def _plain(value: object, done: dict[int, object]) -> object:
    """Replace the stand-ins by arrays, all through the containers; shared and circular references stay so."""
    if id(value) in done:
        return done[id(value)]
    if isinstance(value, dict):
        if not all(isinstance(key, str | int | float | bytes) for key in value):
            raise Refused("a dictionary with unusual keys")
        made: dict[object, object] = {}
        done[id(value)] = made
        made.update({key: _plain(item, done) for key, item in value.items()})
        return made
    if isinstance(value, list):
        filled: list[object] = []
        done[id(value)] = filled
        filled.extend(_plain(item, done) for item in value)
        return filled
    if isinstance(value, tuple):
        done[id(value)] = parts = tuple(_plain(item, done) for item in value)
        return parts
    if isinstance(value, set | frozenset | bytearray):
        return Unreadable(type(value).__name__)
    if isinstance(value, ArrayStandIn):
        return (
            _plain(value.value, done) if isinstance(value.value, list | dict | tuple | ObjectStandIn) else value.value
        )
    if isinstance(value, ChumpyStandIn):
        inner = _plain(value.state.get("x"), done)
        return inner if isinstance(inner, np.ndarray) else Unreadable(type(value).name)
    if isinstance(value, SparseStandIn):
        state = {str(key): _plain(item, done) for key, item in value.state.items()}
        done[id(value)] = dense = _dense(type(value).name, state)
        return dense
    if value is None or isinstance(value, bool | int | float | complex | str | bytes | np.generic | np.ndarray):
        return value
    raise Refused(f"an object of type {type(value).__name__}")


def _dense(name: str, state: Mapping[str, object]) -> np.ndarray:
    """A scipy.sparse matrix as a dense array."""
    shape = state.get("_shape", state.get("shape"))
    rows, columns = (int(n) for n in shape)  # type: ignore[attr-defined, union-attr]
    data = np.asarray(state["data"])
    if min(rows, columns) < 0 or rows * columns * data.itemsize > MAX_ARRAY_BYTES:
        raise Refused("a sparse matrix of an impossible size")
    if ".coo_" in name:
        pair = state["coords"] if "coords" in state else (state["row"], state["col"])
        across, down = (np.asarray(part) for part in pair)  # type: ignore[attr-defined]
    else:
        pointers, minor = np.asarray(state["indptr"]), np.asarray(state["indices"])
        major = np.repeat(np.arange(len(pointers) - 1), np.diff(pointers))
        across, down = (major, minor) if ".csr_" in name else (minor, major)
    if len(across) and (min(across.min(), down.min()) < 0 or across.max() >= rows or down.max() >= columns):
        raise ValueError("indices outside the matrix")
    dense = np.zeros((rows, columns), data.dtype)
    np.add.at(dense, (across, down), data)
    return dense
