# SPDX-License-Identifier: GPL-3.0-or-later
"""The two containers of `torch.save`: a zip of a pickle and its numbers, and before torch 1.6 pickles with the numbers
behind them. The pickles are read by whoever calls; here are the numbers that they refer to, which stay in the file
until they are wanted.
"""

from __future__ import annotations

import os
import struct
import zipfile
from collections.abc import Callable
from functools import partial
from typing import BinaryIO

import numpy as np

from backend.weights.constructors import Refused, StorageKindStandIn, StorageStandIn

Storages = Callable[[object], StorageStandIn]
"""The storage that a pickle means by a persistent id."""
ReadPickle = Callable[[BinaryIO, Storages | None], object]

PICKLE = "data.pkl"
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001
_COUNT = struct.Struct("<q")


def find_pickle(names: list[str]) -> str | None:
    """The pickle of a zip that torch wrote, None in other zips."""
    found = [name for name in names if name.split("/")[-1] == PICKLE and name.count("/") <= 1]
    return found[0] if len(found) == 1 else None


def read_zip(archive: zipfile.ZipFile, pickle_name: str, read: ReadPickle) -> object:
    """What `torch.save` wrote into a zip.

    Args:
        archive: The zip, whose unpacked size was checked.
        pickle_name: See `find_pickle`.
        read: Reads a pickle without running it.

    Raises:
        Refused, KeyError, ValueError: The file is forged or damaged.
    """
    prefix = pickle_name.removesuffix(PICKLE)
    order = archive.read(f"{prefix}byteorder") if f"{prefix}byteorder" in archive.namelist() else b"little"
    sign = ">" if order == b"big" else "<"
    known: dict[str, StorageStandIn] = {}

    def storages(pid: object) -> StorageStandIn:
        kind, key, count = _checked(pid)
        if key not in known:
            member = archive.getinfo(f"{prefix}data/{key}")
            if count * kind.itemsize > member.file_size:
                raise ValueError("a storage larger than its file")
            known[key] = StorageStandIn(kind.dtype, count, lambda: _numbers(archive.read(member), kind, count, sign))
        return _of_kind(known[key], kind)

    with archive.open(pickle_name) as file:
        return read(file, storages)


def read_legacy(file: BinaryIO, size: int, read: ReadPickle) -> object:
    """What an old `torch.save` wrote, from behind its first pickle, the magic number, on.

    Args:
        file: The file.
        size: Its size in bytes: no storage can be larger.
        read: Reads a pickle without running it.

    Raises:
        Refused, KeyError, ValueError: The file is forged or damaged.
    """
    if read(file, None) != _LEGACY_PROTOCOL:
        raise ValueError("another version of the container")
    system = read(file, None)
    order = "<" if not isinstance(system, dict) or system.get("little_endian", True) else ">"
    kinds: dict[str, StorageKindStandIn] = {}
    known: dict[str, StorageStandIn] = {}
    places: dict[str, int] = {}

    def fetch(key: str, count: int) -> np.ndarray:
        file.seek(places[key])
        return _numbers(file.read(count * kinds[key].itemsize), kinds[key], count, order)

    def storages(pid: object) -> StorageStandIn:
        kind, key, count = _checked(pid)
        if key not in known:
            if count * kind.itemsize > size:
                raise ValueError("numbers that are not there")
            kinds[key] = kind
            known[key] = StorageStandIn(kind.dtype, count, partial(fetch, key, count))
        return _of_kind(known[key], kind)

    content = read(file, storages)
    keys = read(file, None)
    if not isinstance(keys, list) or set(keys) != set(kinds):
        raise ValueError("storages that do not belong to the tensors")
    # The tensors come before their numbers.
    for key in keys:
        places[key] = _behind_count(file, known[key].count)
        end = file.seek(known[key].count * kinds[key].itemsize, os.SEEK_CUR)
        if end > size:
            raise ValueError("numbers that are not there")
    return content


def _behind_count(file: BinaryIO, expected: int) -> int:
    (count,) = _COUNT.unpack(file.read(_COUNT.size))
    if count != expected:
        raise Refused("a tensor larger than its data" if count < expected else "numbers that no tensor has")
    return file.tell()


def _checked(pid: object) -> tuple[StorageKindStandIn, str, int]:
    """Kind, key and number of elements that a persistent id says."""
    if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage":
        raise Refused("an object outside the file")
    kind, key, _, count = pid[1:5]
    if not isinstance(kind, StorageKindStandIn) or not isinstance(key, str) or type(count) is not int or count < 0:
        raise Refused("a malformed tensor")
    if any(part is not None for part in pid[5:]):
        raise Refused("a view of another tensor's numbers")
    return kind, key, count


def _of_kind(storage: StorageStandIn, kind: StorageKindStandIn) -> StorageStandIn:
    if storage.dtype != kind.dtype:
        raise Refused("one tensor's numbers as two types")
    return storage


def _numbers(data: bytes, kind: StorageKindStandIn, count: int, order: str) -> np.ndarray:
    """(count,) numbers in this machine's order of bytes."""
    if kind.shortened:  # bfloat16: the upper half of a float32
        upper = np.frombuffer(data, f"{order}u2", count).astype(np.uint32)
        return (upper << 16).view(np.float32)
    return np.frombuffer(data, kind.dtype.newbyteorder(order), count).astype(kind.dtype)
