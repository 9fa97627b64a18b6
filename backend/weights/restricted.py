# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading pickles that others made without running anything in them.

A pickle is a program. Here it may only call the handful of constructors below, all of them ours: even numpy's own are
replaced, because a forged dtype can turn them against memory. What chumpy and scipy.sparse would build becomes arrays.
"""

from __future__ import annotations

import io
import math
import os
import pickle
import re
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np

from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import MAX_ARRAY_BYTES, file_error

_PLAIN_DTYPE = re.compile(r"[biufSU]\d{1,6}\Z")
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


class _Refused(Exception):
    """The pickle asks for something that is not on the list."""


class _Sealed(type):
    """A class that a pickle cannot alter."""

    def __setattr__(cls, name: str, value: object) -> None:
        raise TypeError("sealed")


class _DType(metaclass=_Sealed):
    """numpy.dtype(code, align, copy) with its byte order from the state."""

    __slots__ = ("code", "order")

    def __init__(self, code: object, *_: object) -> None:
        self.code = str(code)
        self.order = "="

    def __setstate__(self, state: tuple[object, ...]) -> None:
        self.order = str(state[1])

    @property
    def is_object(self) -> bool:
        return self.code in ("O", "O4", "O8")

    def plain(self) -> np.dtype:
        if not _PLAIN_DTYPE.match(self.code) or self.order not in "<>=|":
            raise _Refused(f"an array of type {self.code[:20]!r}")
        return np.dtype(self.order + self.code)


class _Array(metaclass=_Sealed):
    """numpy.ndarray; its contents come with the state."""

    __slots__ = ("value",)

    def __init__(self, *_: object) -> None:
        self.value: object = None

    def __setstate__(self, state: tuple[object, ...]) -> None:
        shape, dtype, fortran, data = state[-4:]
        self.value = _array(data, dtype, shape, "F" if fortran else "C")


class _Object(metaclass=_Sealed):
    """An instance of a known library's class: only its attributes are kept."""

    __slots__ = ("state",)
    name = ""

    def __new__(cls, *_: object, **__: object) -> _Object:
        instance = super().__new__(cls)
        instance.state = {}
        return instance

    def __init__(self, *_: object, **__: object) -> None:
        return

    def __setstate__(self, state: object) -> None:
        if isinstance(state, tuple) and state and isinstance(state[0], dict):
            state = state[0]
        self.state = state if isinstance(state, dict) else {}


class _Chumpy(_Object):
    __slots__ = ()


class _Sparse(_Object):
    __slots__ = ()


def _array(data: object, dtype: object, shape: object, order: str) -> object:
    """An array from a pickle's parts. Object arrays become what they hold: one thing, or a list."""
    if not isinstance(dtype, _DType) or not isinstance(shape, tuple) or not all(type(n) is int for n in shape):
        raise _Refused("a malformed array")
    if dtype.is_object:
        if not isinstance(data, list):
            raise _Refused("an array of raw pointers")
        return data[0] if shape == () and len(data) == 1 else data
    if isinstance(data, str):
        data = data.encode("latin1")
    return np.frombuffer(data, dtype.plain()).reshape(shape, order=order).copy()


def _reconstruct(kind: object, *_: object) -> _Array:
    if kind is not _Array:
        raise _Refused("a subclass of numpy.ndarray")
    return _Array()


def _from_buffer(data: object, dtype: object, shape: object, order: object) -> _Array:
    made = _Array()
    made.value = _array(bytes(data), dtype, shape, "F" if order == "F" else "C")  # type: ignore[arg-type]
    return made


def _scalar(dtype: object, data: object) -> object:
    value = _array([data] if isinstance(dtype, _DType) and dtype.is_object else data, dtype, (), "C")
    return value[()] if isinstance(value, np.ndarray) else value


def _encode(text: object, encoding: object = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise _Refused("an unusual encoding")
    return text.encode("latin1")


def _reconstructor(kind: object, base: object, state: object) -> object:
    if not (isinstance(kind, type) and issubclass(kind, _Object)) or base is not object or state is not None:
        raise _Refused("an unusual constructor")
    return kind()


def _tensor_storage(data: object) -> object:
    import torch  # only files with tensors need it

    if not isinstance(data, bytes):
        raise _Refused("a malformed tensor")
    return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)


def _tensor(storage: object, offset: object, size: object, stride: object, *_: object) -> _Array:
    import torch

    if not isinstance(storage, torch.storage.TypedStorage):
        raise _Refused("a malformed tensor")
    made = _Array()
    flat = torch.tensor([], dtype=storage.dtype).set_(storage, offset, size, stride)  # checks the bounds
    made.value = flat.numpy().copy()
    return made


def _ordered(items: object = ()) -> dict[object, object]:
    return dict(items)  # type: ignore[call-overload]


def _set(items: object = ()) -> set[object]:
    return set(items)  # type: ignore[call-overload]


def _no_bytes() -> bytes:
    return b""


class _Function:
    """A function that a pickle can call but not alter."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[..., object]) -> None:
        object.__setattr__(self, "_call", call)

    def __setattr__(self, name: str, value: object) -> None:
        raise TypeError("sealed")

    def __call__(self, *arguments: object) -> object:
        return self._call(*arguments)


_ALLOWED: dict[str, Callable[..., object]] = {
    "numpy.ndarray": _Array,
    "numpy.dtype": _DType,
    "_codecs.encode": _Function(_encode),
    "collections.OrderedDict": _Function(_ordered),
    "torch.storage._load_from_bytes": _Function(_tensor_storage),
    "torch._utils._rebuild_tensor_v2": _Function(_tensor),
}
for _copyreg, _builtins in (("copyreg", "builtins"), ("copy_reg", "__builtin__")):  # Python 3 and 2
    _ALLOWED[f"{_copyreg}._reconstructor"] = _Function(_reconstructor)
    _ALLOWED[f"{_builtins}.object"] = object
    _ALLOWED[f"{_builtins}.set"] = _Function(_set)
    _ALLOWED[f"{_builtins}.bytes"] = _Function(_no_bytes)
for _core in ("numpy.core", "numpy._core"):  # numpy 1 and 2
    _ALLOWED[f"{_core}.multiarray._reconstruct"] = _Function(_reconstruct)
    _ALLOWED[f"{_core}.multiarray.scalar"] = _Function(_scalar)
    _ALLOWED[f"{_core}.numeric._frombuffer"] = _Function(_from_buffer)
_LIBRARIES = (
    (re.compile(r"chumpy(\.\w+)*\.\w+\Z"), _Chumpy),
    (re.compile(r"scipy\.sparse(\.\w+)*\.(csc|csr|coo)_(matrix|array)\Z"), _Sparse),
)


class _Unpickler(pickle.Unpickler):
    """Calls nothing but the constructors above."""

    def find_class(self, module: str, name: str) -> Callable[..., object]:
        full = f"{module}.{name}"
        if full in _ALLOWED:
            return _ALLOWED[full]
        for pattern, base in _LIBRARIES:
            if pattern.match(full):
                return _Sealed(full, (base,), {"__slots__": (), "name": full})
        raise _Refused(full)

    def persistent_load(self, pid: object) -> object:
        raise _Refused("an object outside the file")


def load_restricted(path: str | os.PathLike[str], *, code: ErrorCode = ErrorCode.BAD_HEAD) -> object:
    """Read a `.pkl`, `.npy` or `.npz` made by anyone; no code in it is ever run.

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
    except _Refused as error:
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


def _read_archive(file: BinaryIO) -> dict[str, object]:
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if sum(member.file_size for member in members) > MAX_ARRAY_BYTES:
            raise _Refused("more data than fits into memory")
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
    return _plain(_Unpickler(file, encoding="latin1").load(), {})


def _plain(value: object, done: dict[int, object]) -> object:
    """Replace the stand-ins by arrays, all through the containers; shared and circular references stay so."""
    if id(value) in done:
        return done[id(value)]
    if isinstance(value, dict):
        if not all(isinstance(key, str | int | float | bytes) for key in value):
            raise _Refused("a dictionary with unusual keys")
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
    if isinstance(value, _Array):
        return _plain(value.value, done) if isinstance(value.value, list | dict | tuple | _Object) else value.value
    if isinstance(value, _Chumpy):
        inner = _plain(value.state.get("x"), done)
        return inner if isinstance(inner, np.ndarray) else Unreadable(type(value).name)
    if isinstance(value, _Sparse):
        return _dense(type(value).name, {str(key): _plain(item, done) for key, item in value.state.items()})
    if value is None or isinstance(value, bool | int | float | complex | str | bytes | np.generic | np.ndarray):
        return value
    raise _Refused(f"an object of type {type(value).__name__}")


def _dense(name: str, state: Mapping[str, object]) -> np.ndarray:
    """A scipy.sparse matrix as a dense array."""
    shape = state.get("_shape", state.get("shape"))
    rows, columns = (int(n) for n in shape)  # type: ignore[attr-defined, union-attr]
    data = np.asarray(state["data"])
    if min(rows, columns) < 0 or rows * columns * data.itemsize > MAX_ARRAY_BYTES:
        raise _Refused("a sparse matrix of an impossible size")
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
