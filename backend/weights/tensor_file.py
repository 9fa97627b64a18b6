# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing a safetensors file array by array, so that a checkpoint is converted without lying in memory as a whole.

The library writes only what is in memory. The format is a header, its length before it, and the numbers in order
(https://huggingface.co/docs/safetensors); the library reads what is written here.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from typing import BinaryIO

import numpy as np

from backend.weights.stored import Readable

_NAMES = {
    "float64": "F64", "float32": "F32", "float16": "F16", "int64": "I64", "int32": "I32", "int16": "I16", "int8": "I8",
    "uint8": "U8", "bool": "BOOL",
}  # fmt: skip
_ALIGNMENT = 8


def write_tensors(
    file: BinaryIO, arrays: Mapping[str, Readable], about: Mapping[str, str], told: Callable[[int], None]
) -> None:
    """Write arrays and texts about them.

    Args:
        file: Where to.
        arrays: By name; each is read when its turn comes.
        about: Texts for the header, by name.
        told: Gets the number of bytes after each array.

    Raises:
        OSError: The file cannot be written.
        MienError: What reading an array raises.
        ValueError: A programming error: an array is not what it said.
    """
    # The widest numbers first, so that all of them lie on multiples of their size.
    ordered = sorted(arrays.items(), key=lambda item: (-item[1].dtype.itemsize, item[0]))
    header: dict[str, object] = {"__metadata__": dict(about)}
    end = 0
    for name, array in ordered:
        start, end = end, end + _bytes(array)
        entry = {"dtype": _NAMES[array.dtype.name], "shape": list(array.shape), "data_offsets": [start, end]}
        header[name] = entry
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    file.write(struct.pack("<Q", len(text)) + text)
    for _, array in ordered:
        values = np.ascontiguousarray(array.read(), array.dtype.newbyteorder("<"))
        if values.nbytes != _bytes(array):
            raise ValueError("an array of another size than it said")
        file.write(values.data if values.size else b"")
        told(values.nbytes)


def _bytes(array: Readable) -> int:
    return int(np.prod(array.shape, dtype=np.int64)) * array.dtype.itemsize
