# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders, single files, zips and tars as one thing: names, and each file on the disk while it is looked at.

What lies in an archive is unpacked one file at a time into a folder of ours, under a name of ours; names in archives
are only ever compared and shown.
"""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from backend.weights.matching import bad_weights
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import file_error

LARGEST_MEMBER = 16 << 30
"""Bytes of a file in an archive, unpacked."""
LARGEST_ARCHIVE = 64 << 30
"""Bytes of all files in an archive, unpacked."""
MOST_FILES = 20_000
_BOMB_BYTES, _BOMB_RATIO = 64 << 20, 100
"""Weights hardly pack; what packs to a hundredth is there to fill the disk."""
_PORTION = 4 << 20
_BROKEN = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, NotImplementedError, ValueError)
_AGAIN = "Download it again from its publisher, and let the download finish."


@dataclass(frozen=True)
class Tree:
    """Files under one name.

    Attributes:
        label: What the user calls it.
        names: Of its files, relative, with slashes.
        local: Puts a file on the disk for as long as the context lasts.
        outside: Where the folders go on above a folder or file that the user named; None for archives.
    """

    label: str
    names: tuple[str, ...]
    local: Callable[[str], AbstractContextManager[Path]]
    outside: Path | None = None


def tree_of(path: Path) -> Tree:
    """A file or folder that the user named.

    Raises:
        MienError: MISSING_FILE, NOT_PERMITTED; TOO_LARGE for a folder of very many files.
    """
    try:
        os.stat(path)
    except OSError as error:
        raise file_error(path, error, "read") from error
    if not path.is_dir():
        return Tree(str(path), (path.name,), lambda _: nullcontext(path), path.parent)
    names: list[str] = []
    for folder, folders, files in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        names += [os.path.relpath(os.path.join(folder, name), path).replace(os.sep, "/") for name in sorted(files)]
        if len(names) > MOST_FILES:
            remedy = "Name the folder of the model itself."
            raise MienError(ErrorCode.TOO_LARGE, f"{path} holds more than {MOST_FILES} files.", remedy)
    return Tree(str(path), tuple(names), lambda name: nullcontext(path / name), path)


@contextmanager
def zip_tree(path: Path, label: str, scratch: Path) -> Iterator[Tree]:
    """The files in a zip. Raises MienError: BAD_WEIGHTS, TOO_LARGE, NO_SPACE; also while files are put on the disk."""
    with _guarded(label), zipfile.ZipFile(path) as archive:
        members = {info.filename: info for info in archive.infolist() if not info.is_dir()}
        _check(label, [info.file_size for info in members.values()])
        for info in members.values():
            if info.file_size > max(_BOMB_BYTES, _BOMB_RATIO * info.compress_size):
                reason = f"holds '{info.filename}', which unpacks to {info.file_size >> 20} MiB out of next to nothing"
                raise bad_weights(label, reason, "Download it from its publisher.", cause="bomb")
            if info.flag_bits & 1:
                raise bad_weights(label, "is locked with a password", "Unpack it yourself and add the folder.")

        def local(name: str) -> AbstractContextManager[Path]:
            info = members[name]
            return _unpacked(lambda: archive.open(info), info.file_size, f"{label}/{name}", scratch)

        yield Tree(label, tuple(members), local)


@contextmanager
def tar_tree(path: Path, label: str, scratch: Path) -> Iterator[Tree]:
    """The files in a tar, packed or not. Raises as `zip_tree` does."""
    with _guarded(label), tarfile.open(path) as archive:
        members, total = {}, 0
        for info in archive:  # one by one, so that a bomb of many files ends here
            if info.isfile():
                members[info.name] = info
                total += info.size
                _check(label, [info.size], total, len(members))
                if total > max(_BOMB_BYTES, _BOMB_RATIO * path.stat().st_size):
                    reason = f"unpacks to more than {total >> 20} MiB out of next to nothing"
                    raise bad_weights(label, reason, "Download it from its publisher.", cause="bomb")

        def local(name: str) -> AbstractContextManager[Path]:
            info = members[name]
            return _unpacked(lambda: archive.extractfile(info), info.size, f"{label}/{name}", scratch)  # type: ignore[return-value, arg-type]

        yield Tree(label, tuple(members), local)


def _check(label: str, sizes: list[int], total: int | None = None, count: int | None = None) -> None:
    whole = sum(sizes) if total is None else total
    many = len(sizes) if count is None else count
    if whole > LARGEST_ARCHIVE or max(sizes, default=0) > LARGEST_MEMBER or many > MOST_FILES:
        message = f"{label} unpacks to {whole >> 30} GiB in {many} files, which is more than any such download."
        raise MienError(ErrorCode.TOO_LARGE, message, "Unpack it yourself and add the files that are needed.")


@contextmanager
def _unpacked(opened: Callable[[], IO[bytes]], size: int, label: str, scratch: Path) -> Iterator[Path]:
    free = shutil.disk_usage(scratch).free
    if size > free:
        message = f"{label} cannot be unpacked: {size >> 20} MiB are needed in {scratch.parent}, {free >> 20} are free."
        raise MienError(ErrorCode.NO_SPACE, message, "Free some space there, or set MIEN_HOME to another disk.")
    descriptor, name = tempfile.mkstemp(dir=scratch)
    path = Path(name)
    try:
        try:
            with _guarded(label), open(descriptor, "wb") as target, opened() as source:
                while portion := source.read(_PORTION):
                    target.write(portion)
                if target.tell() != size:
                    raise EOFError
        except OSError as error:
            raise file_error(scratch.parent, error) from error
        yield path
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def _guarded(label: str) -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        raise bad_weights(label, "is damaged or only part of a file", _AGAIN, cause="damaged") from error
