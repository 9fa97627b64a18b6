# SPDX-License-Identifier: GPL-3.0-or-later
"""The constant tensors of a TensorFlow Lite model file, read without its runtime.

The file is a FlatBuffer: tables whose fields are found through a table of offsets before them, all little-endian
(FlatBuffers' "internals" document; the field numbers are those of TensorFlow's `schema.fbs`).
"""

from __future__ import annotations

import struct

import numpy as np

_MODEL_SUBGRAPHS, _MODEL_BUFFERS = 2, 4
_SUBGRAPH_TENSORS = 0
_TENSOR_SHAPE, _TENSOR_TYPE, _TENSOR_BUFFER, _TENSOR_NAME = 0, 1, 2, 3
_BUFFER_DATA = 0
_DTYPES = {0: np.dtype("<f4"), 1: np.dtype("<f2"), 2: np.dtype("<i4")}


def constants(model: bytes) -> dict[str, np.ndarray]:
    """The constant tensors of the first subgraph by their names.

    Args:
        model: Content of a `.tflite` file.

    Returns:
        Arrays in their own shapes; half precision is widened to float32.

    Raises:
        ValueError: When the content is not such a file.
    """
    try:
        root = _Table(model, _unpack("<I", model, 0))
        buffers = root.tables(_MODEL_BUFFERS)
        found = {}
        for tensor in root.tables(_MODEL_SUBGRAPHS)[0].tables(_SUBGRAPH_TENSORS):
            data = buffers[tensor.scalar(_TENSOR_BUFFER, "<I")].vector(_BUFFER_DATA, np.dtype("u1"))
            dtype = _DTYPES.get(tensor.scalar(_TENSOR_TYPE, "<b"))
            if data.size and dtype is not None:
                shape = tensor.vector(_TENSOR_SHAPE, np.dtype("<i4"))
                values = data.view(dtype).reshape(shape)
                name = tensor.vector(_TENSOR_NAME, np.dtype("u1")).tobytes().decode()
                found[name] = values.astype(np.float32) if values.dtype.kind == "f" else values
        return found
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise ValueError(f"not a TensorFlow Lite model: {error}") from error


class _Table:
    """A FlatBuffer table at a position of the file."""

    def __init__(self, data: bytes, position: int) -> None:
        self._data, self._position = data, position
        self._offsets = position - _unpack("<i", data, position)

    def scalar(self, field: int, form: str) -> int:
        place = self._place(field)
        return _unpack(form, self._data, place) if place else 0

    def vector(self, field: int, dtype: np.dtype) -> np.ndarray:
        start, count = self._vector(field)
        return np.frombuffer(self._data, dtype, count, start) if count else np.empty(0, dtype)

    def tables(self, field: int) -> list[_Table]:
        start, count = self._vector(field)
        places = range(start, start + 4 * count, 4)
        return [_Table(self._data, place + _unpack("<I", self._data, place)) for place in places]

    def _vector(self, field: int) -> tuple[int, int]:
        place = self._place(field)
        if not place:
            return 0, 0
        place += _unpack("<I", self._data, place)
        return place + 4, _unpack("<I", self._data, place)

    def _place(self, field: int) -> int:
        """Where a field lies, 0 when it has its default."""
        entry = 4 + 2 * field
        if entry >= _unpack("<H", self._data, self._offsets):
            return 0
        offset = _unpack("<H", self._data, self._offsets + entry)
        return self._position + offset if offset else 0


def _unpack(form: str, data: bytes, place: int) -> int:
    return struct.unpack_from(form, data, place)[0]
