# SPDX-License-Identifier: GPL-3.0-or-later
"""What a pickle of numbers may call or name: stand-ins for the constructors of numpy, chumpy, scipy.sparse and torch.

Even numpy's own constructors are replaced, because a forged dtype can turn them against memory. None of the stand-ins
can be altered by the pickle that uses them.
"""

from __future__ import annotations

import io
import math
import re
import weakref
from collections.abc import Callable

import numpy as np

_PLAIN_DTYPE = re.compile(r"[biufSU]\d{1,6}\Z")


class Refused(Exception):
    """The pickle asks for something that is not on the list."""


class _Sealed(type):
    """A class that a pickle cannot alter."""

    def __setattr__(cls, name: str, value: object) -> None:
        raise TypeError("sealed")


class DTypeStandIn(metaclass=_Sealed):
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
            raise Refused(f"an array of type {self.code[:20]!r}")
        return np.dtype(self.order + self.code)


class ArrayStandIn(metaclass=_Sealed):
    """numpy.ndarray; its contents come with the state."""

    __slots__ = ("value",)

    def __init__(self, *_: object) -> None:
        self.value: object = None

    def __setstate__(self, state: tuple[object, ...]) -> None:
        shape, dtype, fortran, data = state[-4:]
        self.value = _array(data, dtype, shape, "F" if fortran else "C")


class ObjectStandIn(metaclass=_Sealed):
    """An instance of a known library's class: only its attributes are kept."""

    __slots__ = ("state",)
    name = ""

    def __new__(cls, *_: object, **__: object) -> ObjectStandIn:
        instance = super().__new__(cls)
        instance.state = {}
        return instance

    def __init__(self, *_: object, **__: object) -> None:
        return

    def __setstate__(self, state: object) -> None:
        if isinstance(state, tuple) and state and isinstance(state[0], dict):
            state = state[0]
        self.state = state if isinstance(state, dict) else {}


class StorageStandIn(metaclass=_Sealed):
    """The numbers of a torch storage, (N,), fetched when they are wanted; a pickle cannot exchange them."""

    __slots__ = ("dtype", "count", "_fetch", "_kept")

    def __init__(self, dtype: np.dtype, count: int, fetch: Callable[[], np.ndarray]) -> None:
        for name, value in (("dtype", dtype), ("count", count), ("_fetch", fetch), ("_kept", None)):
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise TypeError("sealed")

    @property
    def flat(self) -> np.ndarray:
        """The numbers; fetched once for as long as a tensor of them is in use."""
        kept = self._kept() if self._kept is not None else None
        if kept is None:
            kept = self._fetch()
            object.__setattr__(self, "_kept", weakref.ref(kept))
        return kept


class TensorStandIn(metaclass=_Sealed):
    """A tensor: which of the numbers of a storage. Its storage is fetched when it is read."""

    __slots__ = ("storage", "offset", "shape", "stride")

    def __init__(self, storage: StorageStandIn, offset: int, shape: tuple[int, ...], stride: tuple[int, ...]) -> None:
        for name, value in (("storage", storage), ("offset", offset), ("shape", shape), ("stride", stride)):
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise TypeError("sealed")

    def read(self) -> np.ndarray:
        """The numbers, as a view of their storage, so that many tensors of one fill no more memory than that."""
        flat = self.storage.flat
        steps = [step * flat.itemsize for step in self.stride]
        return np.ndarray(self.shape, flat.dtype, flat, self.offset * flat.itemsize, steps)


class TableStandIn(dict[object, object], metaclass=_Sealed):
    """collections.OrderedDict; what else hangs on it, as on torch's tables of weights, is left out."""

    __slots__ = ()

    def __setstate__(self, _: object) -> None:
        return


class StorageKindStandIn(metaclass=_Sealed):
    """A class of torch storages ("FloatStorage"): which numbers they hold; bfloat16 is read as float32."""

    __slots__ = ("dtype", "itemsize", "shortened")

    def __init__(self, code: str, shortened: bool = False) -> None:
        object.__setattr__(self, "dtype", np.dtype(code))
        object.__setattr__(self, "itemsize", 2 if shortened else self.dtype.itemsize)
        object.__setattr__(self, "shortened", shortened)

    def __setattr__(self, name: str, value: object) -> None:
        raise TypeError("sealed")


class ClassNameStandIn(metaclass=_Sealed):
    """A class that a pickle may name, as Lightning before 1.5 does under what it keeps of its callbacks, and no more:
    nothing can be made of it."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        object.__setattr__(self, "name", name)

    def __setattr__(self, name: str, value: object) -> None:
        raise TypeError("sealed")


class ChumpyStandIn(ObjectStandIn):
    __slots__ = ()


class SparseStandIn(ObjectStandIn):
    __slots__ = ()


def _array(data: object, dtype: object, shape: object, order: str) -> object:
    """An array from a pickle's parts. Object arrays become what they hold: one thing, or a list."""
    if not isinstance(dtype, DTypeStandIn) or not isinstance(shape, tuple) or not all(type(n) is int for n in shape):
        raise Refused("a malformed array")
    if dtype.is_object:
        if not isinstance(data, list):
            raise Refused("an array of raw pointers")
        return data[0] if shape == () and len(data) == 1 else data
    if isinstance(data, str):
        data = data.encode("latin1")
    return np.frombuffer(data, dtype.plain()).reshape(shape, order=order).copy()


def _reconstruct(kind: object, *_: object) -> ArrayStandIn:
    if kind is not ArrayStandIn:
        raise Refused("a subclass of numpy.ndarray")
    return ArrayStandIn()


def _from_buffer(data: object, dtype: object, shape: object, order: object) -> ArrayStandIn:
    if not isinstance(data, bytes | bytearray):
        raise Refused("a malformed array")
    made = ArrayStandIn()
    made.value = _array(bytes(data), dtype, shape, "F" if order == "F" else "C")
    return made


def _scalar(dtype: object, data: object) -> object:
    value = _array([data] if isinstance(dtype, DTypeStandIn) and dtype.is_object else data, dtype, (), "C")
    return value[()] if isinstance(value, np.ndarray) else value


def _encode(text: object, encoding: object = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise Refused("an unusual encoding")
    return text.encode("latin1")


def _reconstructor(kind: object, base: object, state: object) -> object:
    if not (isinstance(kind, type) and issubclass(kind, ObjectStandIn)) or base is not object or state is not None:
        raise Refused("an unusual constructor")
    return kind()


def _tensor_storage(data: object) -> StorageStandIn:
    import torch  # only files with tensors need it

    if not isinstance(data, bytes):
        raise Refused("a malformed tensor")
    # Even torch's restricted reader hands out functions and classes of torch, which must not get onto our stack.
    storage = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    if not isinstance(storage, torch.storage.TypedStorage):
        raise Refused("a malformed tensor")
    flat = torch.tensor([], dtype=storage.dtype).set_(storage).numpy()
    return StorageStandIn(flat.dtype, flat.size, lambda: flat)


def _tensor(storage: object, offset: object, size: object, stride: object, *_: object) -> TensorStandIn:
    layout = (offset, *size, *stride)  # type: ignore[misc]
    if not isinstance(storage, StorageStandIn) or not all(type(n) is int and n >= 0 for n in layout):
        raise Refused("a malformed tensor")
    shape, steps, count = tuple(size), tuple(stride), storage.count  # type: ignore[arg-type]
    last = offset + sum((n - 1) * step for n, step in zip(shape, steps, strict=True))  # type: ignore[operator]
    # The second: a tensor whose rows are one and the same could fill the memory.
    if 0 not in shape and (last >= count or math.prod(shape) > count):
        raise Refused("a tensor larger than its data")
    return TensorStandIn(storage, offset if 0 not in shape else 0, shape, steps)  # type: ignore[arg-type]


def _parameter(data: object, *_: object) -> ArrayStandIn | TensorStandIn:
    if not isinstance(data, ArrayStandIn | TensorStandIn):
        raise Refused("a malformed tensor")
    return data


def _size(numbers: object = ()) -> tuple[object, ...]:
    return tuple(numbers)  # type: ignore[arg-type]


def _ordered(items: object = ()) -> TableStandIn:
    return TableStandIn(items)  # type: ignore[call-overload]


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


_ALLOWED: dict[str, Callable[..., object] | StorageKindStandIn] = {
    "numpy.ndarray": ArrayStandIn,
    "numpy.dtype": DTypeStandIn,
    "_codecs.encode": _Function(_encode),
    "collections.OrderedDict": _Function(_ordered),
    "torch.storage._load_from_bytes": _Function(_tensor_storage),
    "torch._utils._rebuild_tensor": _Function(_tensor),
    "torch._utils._rebuild_tensor_v2": _Function(_tensor),
    "torch._utils._rebuild_parameter": _Function(_parameter),
    "torch.Size": _Function(_size),
    "torch.BFloat16Storage": StorageKindStandIn("f4", shortened=True),
}
for _name, _code in (
    ("Float", "f4"), ("Double", "f8"), ("Half", "f2"), ("Long", "i8"), ("Int", "i4"), ("Short", "i2"), ("Char", "i1"),
    ("Byte", "u1"), ("Bool", "b1"),
):  # fmt: skip
    _ALLOWED[f"torch.{_name}Storage"] = StorageKindStandIn(_code)
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
    (re.compile(r"chumpy(\.\w+)*\.\w+\Z"), ChumpyStandIn),
    (re.compile(r"scipy\.sparse(\.\w+)*\.(csc|csr|coo)_(matrix|array)\Z"), SparseStandIn),
)

_NAMED = re.compile(r"pytorch_lightning(\.\w+)*\.\w+\Z")


def constructor(full_name: str) -> Callable[..., object] | StorageKindStandIn | ClassNameStandIn:
    """The stand-in for a global name of a pickle.

    Raises:
        Refused: it is not on the list.
    """
    if full_name in _ALLOWED:
        return _ALLOWED[full_name]
    for pattern, base in _LIBRARIES:
        if pattern.match(full_name):
            return _Sealed(full_name, (base,), {"__slots__": (), "name": full_name})
    if _NAMED.match(full_name):
        return ClassNameStandIn(full_name)
    raise Refused(full_name)
