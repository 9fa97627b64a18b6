# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages to multipart frames and back; nothing that arrives is trusted. The only module that uses msgpack.

A message is a msgpack header `{protocol, id, type, body, arrays}` and one frame for each array: raw, little-endian,
C order, with types and shapes in the header.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from .errors import ErrorCode, MienError
from .messages import MAX_ARRAYS, MAX_HEADER, MAX_MESSAGE, TYPES, Message, type_name, version_mismatch
from .schema import DTYPES, Frames, bad_message, pack, unpack
from .version import PROTOCOL

_ENVELOPE = {"protocol", "id", "type", "body", "arrays"}
_UNICODE_ERRORS = "surrogatepass"
"""Names of files need not be Unicode: Python holds what is none as lone surrogates, which the other end needs as is."""


class Envelope(NamedTuple):
    """A decoded message with the id that ties replies to requests."""

    id: int
    message: Message


def import_msgpack() -> ModuleType:
    """The msgpack module, which ships with the add-on as a wheel.

    Raises:
        MienError: SETUP_FAILED when it is missing.
    """
    try:
        import msgpack
    except ImportError as error:
        message = "The Python package msgpack is missing."
        remedy = "Install the Mien package made for this system and Blender."
        raise MienError(ErrorCode.SETUP_FAILED, message, remedy) from error
    return msgpack


def encode(message: Message, request_id: int) -> list[bytes | memoryview]:
    """Frames of a message.

    Args:
        message: A request or a reply.
        request_id: Ties the reply to the request, 0 to 2^63 - 1.

    Raises:
        MienError: TOO_LARGE, or SETUP_FAILED without msgpack.
    """
    arrays: list[np.ndarray] = []
    header = {
        "protocol": PROTOCOL,
        "id": request_id,
        "type": type_name(type(message)),
        "body": pack(type(message), message, arrays),
        "arrays": [[array.dtype.str, list(array.shape)] for array in arrays],
    }
    packed = import_msgpack().packb(header, unicode_errors=_UNICODE_ERRORS)
    total = len(packed) + sum(array.nbytes for array in arrays)
    if len(packed) > MAX_HEADER or total > MAX_MESSAGE or len(arrays) > MAX_ARRAYS:
        raise too_large(total)
    return [packed, *(memoryview(array.reshape(-1).view(np.uint8)) for array in arrays)]


def too_large(size: int) -> MienError:
    """The error for a message over the limits."""
    text = f"A message of {size / 1e6:.0f} MB is too large."
    return MienError(ErrorCode.TOO_LARGE, text, "Use a smaller or shorter source.", {"bytes": size})


def decode(frames: Sequence[bytes | memoryview]) -> Envelope:
    """The message in these frames. Nothing in them is trusted.

    Raises:
        MienError: BAD_MESSAGE for anything that is not a message of this protocol, VERSION_MISMATCH for one of another
            protocol, SETUP_FAILED without msgpack.
    """
    try:
        return _decode(frames)
    except MienError as error:
        if error.code in (ErrorCode.BAD_MESSAGE, ErrorCode.VERSION_MISMATCH, ErrorCode.SETUP_FAILED):
            raise
        # A value inside the message refused its content (a take, a head, options).
        raise MienError(ErrorCode.BAD_MESSAGE, f"A message was refused: {error.message}", error.remedy) from error


def _decode(frames: Sequence[bytes | memoryview]) -> Envelope:
    header = _read_header(frames)
    request_id, name, shapes = header["id"], header["type"], header["arrays"]
    if not isinstance(name, str) or name not in TYPES:
        raise bad_message("an unknown type")
    if not isinstance(shapes, list) or len(shapes) != len(frames) - 1:
        raise bad_message("the number of arrays is wrong")
    arrays = Frames([_read_array(shape, frame) for shape, frame in zip(shapes, frames[1:], strict=True)])
    message = unpack(TYPES[name], header["body"], arrays)
    arrays.finish()
    return Envelope(request_id, message)


def _read_header(frames: Sequence[bytes | memoryview]) -> dict[str, Any]:
    if not frames or len(frames) > MAX_ARRAYS + 1:
        raise bad_message("the number of frames is wrong")
    sizes = [len(frame) for frame in frames]
    if sizes[0] > MAX_HEADER or sum(sizes) > MAX_MESSAGE:
        raise bad_message("it is too large")
    msgpack = import_msgpack()
    try:
        header = msgpack.unpackb(frames[0], raw=False, strict_map_key=True, unicode_errors=_UNICODE_ERRORS)
    except (ValueError, msgpack.UnpackException, TypeError, OverflowError) as error:
        raise bad_message("the header is damaged") from error
    if not isinstance(header, dict) or type(header.get("protocol")) is not int or not _is_id(header.get("id")):
        raise bad_message("the header is not one of Mien's")
    if header["protocol"] != PROTOCOL:
        raise version_mismatch(f"protocol {header['protocol']}", f"protocol {PROTOCOL}")
    if set(header) != _ENVELOPE:
        raise bad_message("the header has missing or unknown entries")
    return header


def request_id_of(frames: Sequence[bytes | memoryview]) -> int:
    """Id of a message that `decode` refused, so that the refusal can be answered; 0 where it cannot be told."""
    try:
        return _read_id(frames)
    except MienError:
        return 0


def _read_id(frames: Sequence[bytes | memoryview]) -> int:
    if not frames or len(frames[0]) > MAX_HEADER:
        return 0
    msgpack = import_msgpack()
    try:
        header = msgpack.unpackb(frames[0], raw=False, strict_map_key=True, unicode_errors=_UNICODE_ERRORS)
    except (ValueError, msgpack.UnpackException, TypeError, OverflowError):
        return 0
    return header["id"] if isinstance(header, dict) and _is_id(header.get("id")) else 0


def _is_id(value: object) -> bool:
    return type(value) is int and 0 <= value < 1 << 63


def _read_array(shape: object, frame: bytes | memoryview) -> np.ndarray:
    if not isinstance(shape, list) or len(shape) != 2 or shape[0] not in DTYPES or not isinstance(shape[1], list):
        raise bad_message("an array of a type that does not travel")
    dtype, sizes = np.dtype(shape[0]), shape[1]
    if len(sizes) > 8 or not all(type(size) is int and 0 <= size < 1 << 40 for size in sizes):
        raise bad_message("an array with an impossible shape")
    if math.prod(sizes) * dtype.itemsize != len(frame):
        raise bad_message("an array whose size is not its shape's")
    if math.prod(size or 1 for size in sizes) * dtype.itemsize >= 1 << 63:  # numpy's limit, also for an empty array
        raise bad_message("an array with an impossible shape")
    if dtype == np.bool_ and len(frame) and np.frombuffer(frame, np.uint8).max() > 1:
        raise bad_message("truth values other than 0 and 1")
    # A copy: the frame's memory belongs to the socket and is read-only.
    return np.frombuffer(frame, dtype).reshape(sizes).copy()
