# SPDX-License-Identifier: GPL-3.0-or-later
"""Frozen dataclasses to plain values and back, strictly by their annotations.

Arrays leave the plain values: each becomes its number in a list of frames. Understood annotations: None, bool, int,
float, str, bytes-free JSON (`Json`), unions with None, `Literal`, `StrEnum`, `tuple[X, ...]`, `numpy.ndarray`, other
dataclasses, and classes with an adapter (`Take`, `HeadDescription`, `CaptureOptions`).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from functools import lru_cache
from types import NoneType, UnionType
from typing import Any, Literal, NewType, Union, get_args, get_origin, get_type_hints

import numpy as np

from .errors import ErrorCode, MienError
from .head import HeadDescription
from .options import CaptureOptions
from .take import Take

Json = NewType("Json", dict)
"""Annotation of a table of JSON-able values."""

MAX_TEXT = 1 << 16
MAX_ITEMS = 1 << 16
MAX_DEPTH = 16
_INT_LIMIT = 1 << 63

DTYPES = ("|b1", "|u1", "|i1", "<u2", "<i2", "<u4", "<i4", "<u8", "<i8", "<f2", "<f4", "<f8")
"""Types of arrays that travel, in numpy's notation: plain numbers, little-endian."""


def bad_message(reason: str) -> MienError:
    """The error for a message that is not what the protocol says."""
    return MienError(
        ErrorCode.BAD_MESSAGE,
        f"A message could not be understood: {reason}.",
        "Make sure that the add-on and the backend have the same version and that nothing else uses the port.",
    )


class _ArraysOf:
    """Adapter of a class that splits into a description and named arrays."""

    def __init__(self, cls: type[Take] | type[HeadDescription]) -> None:
        self.cls = cls

    def pack(self, value: Any, frames: list[np.ndarray]) -> dict[str, object]:
        meta, arrays = value.to_arrays()
        return {"meta": meta, "arrays": {name: _pack_array(array, frames) for name, array in arrays.items()}}

    def unpack(self, value: object, frames: Frames) -> object:
        if not isinstance(value, dict) or set(value) != {"meta", "arrays"} or not isinstance(value["arrays"], dict):
            raise bad_message(f"damaged {self.cls.__name__}")
        meta = checked_json(value["meta"])
        if not all(isinstance(name, str) for name in value["arrays"]):
            raise bad_message(f"damaged {self.cls.__name__}")
        return self.cls.from_arrays(meta, {name: frames.take(number) for name, number in value["arrays"].items()})


class _OptionsAdapter:
    @staticmethod
    def pack(value: CaptureOptions, frames: list[np.ndarray]) -> dict[str, object]:
        return value.to_json()

    @staticmethod
    def unpack(value: object, frames: Frames) -> CaptureOptions:
        return CaptureOptions.from_json(checked_json(value))


_ADAPTERS: Mapping[object, Any] = {
    Take: _ArraysOf(Take),
    HeadDescription: _ArraysOf(HeadDescription),
    CaptureOptions: _OptionsAdapter,
}


class Frames:
    """The arrays of one message; each is taken exactly once, in order."""

    def __init__(self, arrays: Sequence[np.ndarray]) -> None:
        self._arrays = arrays
        self._next = 0

    def take(self, number: object) -> np.ndarray:
        """The array with that number, which must be the next one."""
        if type(number) is not int or number != self._next or number >= len(self._arrays):
            raise bad_message("arrays missing or out of order")
        self._next += 1
        return self._arrays[number]

    def finish(self) -> None:
        """Refuse a message with arrays that nothing in it refers to."""
        if self._next != len(self._arrays):
            raise bad_message("arrays that belong to nothing")


def _pack_array(value: np.ndarray, frames: list[np.ndarray]) -> int:
    array = np.asarray(value)
    array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).reshape(array.shape)
    if array.dtype.str not in DTYPES:
        raise TypeError(f"arrays of type {array.dtype} cannot be sent")
    frames.append(array)
    return len(frames) - 1


def checked_json(value: object) -> dict[str, Any]:
    """Return `value` if it is a table of JSON-able values within the limits."""
    if not isinstance(value, dict):
        raise bad_message("expected a table")
    _check_json(value, 0)
    return value


def _check_json(value: object, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise bad_message("tables nested too deeply")
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, (str, int, float)):
        _scalar(type(value), value)
        return
    if not isinstance(value, (list, tuple, dict)):
        raise bad_message(f"a value of type {type(value).__name__}")
    if len(value) > MAX_ITEMS:
        raise bad_message("too many items")
    if isinstance(value, dict):
        for name in value:
            _scalar(str, name)
        value = value.values()
    for item in value:
        _check_json(item, depth + 1)


def _scalar(kind: type, value: object) -> object:
    if kind is float and type(value) is int and abs(value) < 1 << 53:
        value = float(value)
    if type(value) is not kind:
        raise bad_message(f"expected {kind.__name__}, got {type(value).__name__}")
    if kind is str and len(value) > MAX_TEXT:  # type: ignore[arg-type]
        raise bad_message("a text is too long")
    if kind is int and not -_INT_LIMIT <= value < _INT_LIMIT:  # type: ignore[operator]
        raise bad_message("a number is too large")
    if kind is float and not math.isfinite(value):  # type: ignore[arg-type]
        raise bad_message("a number is not finite")
    return value


@lru_cache(maxsize=256)
def hints(cls: type) -> dict[str, Any]:
    """Annotations of a dataclass's fields, resolved."""
    resolved = get_type_hints(cls)
    return {field.name: resolved[field.name] for field in dataclasses.fields(cls)}


def pack(kind: Any, value: Any, frames: list[np.ndarray]) -> object:
    """Plain value of `value`, whose annotation is `kind`; arrays are appended to `frames`."""
    if kind in _ADAPTERS:
        return _ADAPTERS[kind].pack(value, frames)
    if kind is np.ndarray:
        return _pack_array(value, frames)
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        return None if value is None else pack(_not_none(kind), value, frames)
    if origin is tuple:
        return [pack(get_args(kind)[0], item, frames) for item in value]
    if dataclasses.is_dataclass(kind):
        return {name: pack(item, getattr(value, name), frames) for name, item in hints(kind).items()}
    if kind is Json:
        return checked_json(dict(value))
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return str(value)
    return value


def unpack(kind: Any, value: object, frames: Frames) -> Any:
    """Inverse of `pack`, refusing everything that the annotation does not allow.

    Raises:
        MienError: BAD_MESSAGE, or what the constructor of a value raises.
    """
    if kind in _ADAPTERS:
        return _ADAPTERS[kind].unpack(value, frames)
    if kind is np.ndarray:
        return frames.take(value)
    if kind is Json:
        return checked_json(value)
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        return None if value is None else unpack(_not_none(kind), value, frames)
    if origin is Literal:
        return _one_of(value, get_args(kind), lambda item: item)
    if origin is tuple:
        if not isinstance(value, list) or len(value) > MAX_ITEMS:
            raise bad_message("expected a list")
        return tuple(unpack(get_args(kind)[0], item, frames) for item in value)
    if dataclasses.is_dataclass(kind):
        return _unpack_dataclass(kind, value, frames)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return _one_of(value, tuple(kind), kind)
    return _scalar(kind, value)


def _one_of(value: object, allowed: tuple[object, ...], convert: Callable[[Any], object]) -> object:
    if not isinstance(value, str) or value not in allowed:
        raise bad_message("a word that the protocol does not know")
    return convert(value)


def _unpack_dataclass(kind: Any, value: object, frames: Frames) -> object:
    fields = hints(kind)
    if not isinstance(value, dict):
        raise bad_message(f"{kind.__name__} is not a table")
    if wrong := fields.keys() ^ value.keys():
        raise bad_message(f"{kind.__name__} has a missing or unknown field {min(map(repr, wrong))[:40]}")
    return kind(**{name: unpack(item, value[name], frames) for name, item in fields.items()})


def _not_none(kind: Any) -> Any:
    (only,) = (item for item in get_args(kind) if item is not NoneType)
    return only
