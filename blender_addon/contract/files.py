# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing files so that they are whole or absent, and array files (`.npz`) that never hold or run a pickle."""

from __future__ import annotations

import errno
import json
import math
import os
import re
import secrets
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Mapping
from typing import BinaryIO

import numpy as np

from .errors import ErrorCode, MienError

MAX_ARRAY_BYTES = 4 << 30
"""Largest uncompressed content of an array file that is read, so that a small hostile file cannot fill the memory."""

_META = "meta"
_NAME = re.compile(r"[A-Za-z0-9_.]+")
_PLAIN_KINDS = "biuf"
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # fixed, so that the same content gives the same bytes and hash
# NotImplementedError, RuntimeError and UnicodeDecodeError: zipfile's words for compressions that it lacks, encrypted
# members and damaged names.
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    UnicodeDecodeError,
)
_CODES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), ErrorCode.NO_SPACE),
    **dict.fromkeys((errno.ENOENT, errno.ENOTDIR), ErrorCode.MISSING_FILE),
}
_REMEDIES = {
    ErrorCode.NO_SPACE: "Free some space on that disk or choose another folder.",
    ErrorCode.MISSING_FILE: "Check that the folder exists.",
    ErrorCode.NOT_PERMITTED: "Check the permissions or choose another folder.",
}


def file_error(path: str | os.PathLike[str], error: OSError, action: str = "written") -> MienError:
    """Turn an operating system's error about a file into one for the user.

    Args:
        path: The file the user knows about.
        error: What happened.
        action: What could not be done to the file, as a participle ("written", "read").

    Returns:
        MienError with NO_SPACE, MISSING_FILE or, for every other cause, NOT_PERMITTED.
    """
    code = _CODES.get(error.errno or 0, ErrorCode.NOT_PERMITTED)
    reason = error.strerror or type(error).__name__
    remedy = _REMEDIES[code]
    if code is ErrorCode.MISSING_FILE and action == "read":
        remedy = "Check the path."
    return MienError(code, f"{path} cannot be {action}: {reason}.", remedy, {"path": str(path)})


def make_folder(path: str | os.PathLike[str], *, private: bool = False) -> None:
    """Make a folder and its parents if they are missing.

    Args:
        path: The folder.
        private: Only its owner can open it (0700): for photos and keys.

    Raises:
        MienError: NO_SPACE, NOT_PERMITTED or MISSING_FILE.
    """
    try:
        os.makedirs(path, mode=0o700 if private else 0o777, exist_ok=True)
    except OSError as error:
        raise file_error(path, error, "made") from error


def atomic_write(
    path: str | os.PathLike[str], write: Callable[[BinaryIO], object], *, private: bool = False, durable: bool = True
) -> None:
    """Write a file so that, whatever happens, `path` holds the old content or all of the new.

    The content goes to a temporary file in the same folder, which then takes the name. A symbolic link stays one.

    Args:
        path: File to write; its folder must exist.
        write: Gets the open temporary file and writes the content. What it raises besides OSError passes through.
        private: Readable by the owner only (0600).
        durable: Wait until the content is on the disk, so that even a power cut leaves the old or the new content.

    Raises:
        MienError: NO_SPACE, NOT_PERMITTED or MISSING_FILE, with the path and the reason.
    """
    target = os.path.realpath(path)
    temporary = os.path.join(os.path.dirname(target), f".{secrets.token_hex(8)}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        try:
            descriptor = os.open(temporary, flags, 0o600 if private else 0o666)
            with open(descriptor, "wb") as file:
                write(file)
                file.flush()
                if durable:
                    os.fsync(file.fileno())
            os.replace(temporary, target)
        finally:
            # After the replace the temporary name is gone; this clears up after failures only.
            if os.path.lexists(temporary):
                os.unlink(temporary)
    except OSError as error:
        raise file_error(path, error) from error


def save_arrays(
    path: str | os.PathLike[str], meta: Mapping[str, object], arrays: Mapping[str, np.ndarray], *, durable: bool = True
) -> None:
    """Write arrays and a description to a compressed `.npz`; the same content gives the same bytes.

    Args:
        path: File to write; its folder must exist.
        meta: JSON-able values, stored as one JSON string under the name `meta`.
        arrays: Plain numeric or boolean arrays by name.
        durable: See `atomic_write`.

    Raises:
        MienError: NO_SPACE, NOT_PERMITTED, MISSING_FILE.
        TypeError: A programming error: an array that is not plain numbers, or a name that is `meta` or not plain.
    """
    if wrong := [name for name in arrays if name == _META or not _NAME.fullmatch(name)]:
        raise TypeError(f"an array cannot have the name {wrong[0]!r}")
    members = {_META: np.array(json.dumps(meta, sort_keys=True, allow_nan=False))}
    for name, array in arrays.items():
        members[name] = np.asarray(array)
        if members[name].dtype.kind not in _PLAIN_KINDS:
            raise TypeError(f"array '{name}' has type {members[name].dtype}, only plain numbers can be saved")
    write_npz(path, members, durable=durable)


def write_npz(path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray], *, durable: bool = True) -> None:
    """Write arrays to a compressed `.npz` without pickles; the same arrays give the same bytes.

    Raises:
        MienError: NO_SPACE, NOT_PERMITTED, MISSING_FILE.
        ValueError: A programming error: an array of objects.
    """

    def write(file: BinaryIO) -> None:
        with zipfile.ZipFile(file, "w") as archive:
            for name, array in arrays.items():
                info = zipfile.ZipInfo(f"{name}.npy", _ZIP_TIME)
                info.compress_type = zipfile.ZIP_DEFLATED
                with archive.open(info, "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, array, allow_pickle=False)

    atomic_write(path, write, durable=durable)


def load_arrays(
    path: str | os.PathLike[str], *, code: ErrorCode = ErrorCode.BAD_TAKE
) -> tuple[dict[str, object], dict[str, np.ndarray]]:
    """Read what `save_arrays` wrote. Nothing in the file is executed and no pickle is opened.

    Args:
        path: File to read.
        code: Code of the error for a file that is no whole array file (BAD_TAKE, BAD_HEAD).

    Returns:
        The description and the arrays by name; the arrays own their memory.

    Raises:
        MienError: MISSING_FILE, NOT_PERMITTED, TOO_LARGE, or `code` with `details["cause"]` one of "not_npz",
            "truncated", "pickle", "dtype", "meta".
    """
    try:
        with open(path, "rb") as file:
            return _read_archive(path, file, code)
    except OSError as error:
        raise file_error(path, error, "read") from error


def _read_archive(
    path: str | os.PathLike[str], file: BinaryIO, code: ErrorCode
) -> tuple[dict[str, object], dict[str, np.ndarray]]:
    def refuse(reason: str, cause: str, remedy: str = "Make the file anew or use an undamaged copy.") -> MienError:
        return MienError(code, f"{path} {reason}.", remedy, {"path": str(path), "cause": cause})

    start = file.read(4)
    file.seek(0)
    if not start:
        raise refuse("is empty", "truncated")
    if start != b"PK\x03\x04":
        raise refuse("is not an array file (.npz)", "not_npz", "Choose a file that Mien wrote.")
    arrays: dict[str, np.ndarray] = {}
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            if sum(member.file_size for member in members) > MAX_ARRAY_BYTES:
                message = f"{path} unpacks to more than {MAX_ARRAY_BYTES >> 30} GiB."
                raise MienError(ErrorCode.TOO_LARGE, message, "Use a file that Mien wrote.", {"path": str(path)})
            for member in members:
                name = member.filename.removesuffix(".npy")
                if name in arrays:
                    raise refuse(f"holds '{name}' twice", "truncated")
                arrays[name] = _read_member(archive, member, refuse)
    except _DAMAGED as error:
        raise refuse("is damaged or was cut off", "truncated") from error
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise refuse("is damaged or was cut off", "truncated") from error  # it names a place before its beginning
    text = arrays.pop(_META, None)
    try:
        if text is None or text.dtype.kind != "U" or text.ndim:
            raise ValueError
        meta = json.loads(str(text))
        if not isinstance(meta, dict):
            raise ValueError
    except (ValueError, RecursionError) as error:
        raise refuse("has no readable description ('meta')", "meta", "Choose a file that Mien wrote.") from error
    for name, array in arrays.items():
        if array.dtype.kind not in _PLAIN_KINDS:
            raise refuse(f"holds '{name}' of type {array.dtype}, which is not plain numbers", "dtype")
    return meta, arrays


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, refuse: Callable[..., MienError]) -> np.ndarray:
    # The header is read apart from the data so that the type and the size are known before anything is allocated or
    # unpickled.
    with archive.open(member) as stream:
        try:
            version = np.lib.format.read_magic(stream)
            read_header = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }.get(version)
            if read_header is None:
                raise ValueError
            shape, fortran, dtype = read_header(stream)
        except (ValueError, TypeError, SyntaxError, KeyError, tokenize.TokenError) as error:
            raise refuse(f"holds '{member.filename}', which is not an array", "truncated") from error
        if dtype.hasobject:
            reason = f"holds pickled Python objects ('{member.filename}'), which Mien never opens"
            raise refuse(reason, "pickle", "Use a file that Mien wrote.")
        if dtype.names is not None or dtype.subdtype is not None or any(size < 0 for size in shape):
            raise refuse(f"holds '{member.filename}' of type {dtype}, which is not plain numbers", "dtype")
        size = math.prod(shape) * dtype.itemsize
        if size > member.file_size:
            raise refuse(f"holds '{member.filename}', which is cut off", "truncated")
        data = bytearray(stream.read(size))  # a bytearray, so that the array is writable
        if len(data) != size or stream.read(1):
            raise refuse(f"holds '{member.filename}', which is cut off", "truncated")
    if not data:
        return np.empty(shape, dtype)
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")
