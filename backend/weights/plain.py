# SPDX-License-Identifier: GPL-3.0-or-later
"""What a pickle of numbers left behind, as plain containers and arrays in place of the stand-ins."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from backend.weights.constructors import (
    ArrayStandIn,
    ChumpyStandIn,
    ClassNameStandIn,
    ObjectStandIn,
    Refused,
    SparseStandIn,
    TensorStandIn,
)
from backend.weights.stored import StoredArray
from blender_addon.contract.files import MAX_ARRAY_BYTES

Keep = Callable[[tuple[int, ...], np.dtype, Callable[[], np.ndarray]], StoredArray]
"""Leaves an array in its file."""


class Unreadable:
    """Stands for an object of a known library whose value Mien cannot work out.

    Attributes:
        name: its class.
    """

    def __init__(self, name: str) -> None:
        self.name = name


def plain(value: object, keep: Keep | None = None) -> object:
    """Containers of arrays; see `restricted.load_restricted` for what becomes of what.

    Args:
        value: What the unpickler made of our stand-ins.
        keep: Leaves tensors where they are; they are read where it is None.

    Raises:
        Refused: There is something else in it than numbers, texts and containers of them.
    """
    return _plain(value, {}, keep)


def _plain(value: object, done: dict[int, object], keep: Keep | None) -> object:
    """Replace the stand-ins by arrays, all through the containers; shared and circular references stay so.

    Tensors are read where nothing keeps them in their file.
    """
    if id(value) in done:
        return done[id(value)]
    if isinstance(value, dict):
        if not all(isinstance(key, str | int | float | bytes | ClassNameStandIn) for key in value):
            raise Refused("a dictionary with unusual keys")
        table: dict[object, object] = {}
        done[id(value)] = table
        table.update({_plain_key(key): _plain(item, done, keep) for key, item in value.items()})
        return table
    if isinstance(value, list):
        filled: list[object] = []
        done[id(value)] = filled
        filled.extend(_plain(item, done, keep) for item in value)
        return filled
    if isinstance(value, tuple):
        done[id(value)] = parts = tuple(_plain(item, done, keep) for item in value)
        return parts
    if isinstance(value, set | frozenset | bytearray):
        return Unreadable(type(value).__name__)
    if isinstance(value, TensorStandIn):
        done[id(value)] = made = keep(value.shape, value.storage.dtype, value.read) if keep else value.read()
        return made
    if isinstance(value, ArrayStandIn):
        return (
            _plain(value.value, done, keep)
            if isinstance(value.value, list | dict | tuple | ObjectStandIn)
            else value.value
        )
    if isinstance(value, ChumpyStandIn):
        held = _plain(value.state.get("x"), done, keep)
        return held if isinstance(held, np.ndarray) else Unreadable(type(value).name)
    if isinstance(value, ClassNameStandIn):
        return Unreadable(value.name)
    if isinstance(value, SparseStandIn):
        state = {str(key): _plain(item, done, keep) for key, item in value.state.items()}
        done[id(value)] = dense = _dense(type(value).name, state)
        return dense
    if value is None or isinstance(value, bool | int | float | complex | str | bytes | np.generic | np.ndarray):
        return value
    raise Refused(f"an object of type {type(value).__name__}")


def _plain_key(key: object) -> object:
    return key.name if isinstance(key, ClassNameStandIn) else key


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
