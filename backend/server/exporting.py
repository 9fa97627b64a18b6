# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes that clients want in other programs' formats: written in a thread, into a folder that goes, sent as bytes."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import numpy as np

from blender_addon.contract import messages as m
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.exporting import MAX_EXPORT, ExportedFile, TakeFormat
from blender_addon.contract.files import file_error

KEEP = 4
"""So many exports that are done can be asked for again."""
MOST_WAITING = 16


def formats() -> m.Formats:
    """All formats that takes can be written in."""
    from backend.exports.formats import TAKE_FORMATS

    return m.Formats(tuple(TakeFormat(name, item.title, item.suffix) for name, item in TAKE_FORMATS.items()))


class Exporter:
    """Writes exports, one after the other.

    Args:
        changed: Called in another thread when one is done.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._turn = threading.Lock()
        self._exports: dict[str, Future[tuple[ExportedFile, ...]]] = {}

    def answer(self, request: m.ExportTake, waited: bool) -> m.Exported | None:
        """The files of an export, which is begun if it was not before; None to hold the answer back.

        Args:
            request: What to write.
            waited: Answer now, with or without files.

        Raises:
            MienError: Why it cannot be written; TOO_LARGE while too many wait.
        """
        export = self._exports.get(request.export) or self._begin(request)
        if export.done():
            return m.Exported(request.export, export.result())
        return m.Exported(request.export, None) if waited else None

    def _begin(self, request: m.ExportTake) -> Future[tuple[ExportedFile, ...]]:
        done = [name for name, future in self._exports.items() if future.done()]
        for name in done[: -KEEP + 1]:
            del self._exports[name]
        if len(self._exports) - min(len(done), KEEP - 1) >= MOST_WAITING:
            message = "Too many exports wait at the backend."
            raise MienError(ErrorCode.TOO_LARGE, message, "Export again when the others are done.")
        export: Future[tuple[ExportedFile, ...]] = Future()
        self._exports[request.export] = export
        # A daemon: it must not keep a backend from ending.
        threading.Thread(target=self._run, args=(request, export), name="mien-export", daemon=True).start()
        return export

    def _run(self, request: m.ExportTake, export: Future[tuple[ExportedFile, ...]]) -> None:
        with self._turn:
            try:
                export.set_result(write(request))
            except Exception as error:  # noqa: BLE001  # whatever it is goes to who asked
                export.set_exception(error)
        self._changed()


def write(request: m.ExportTake) -> tuple[ExportedFile, ...]:
    """The files of an export.

    Raises:
        MienError: USAGE for an unknown format, CANNOT_EXPORT for a take that it cannot tell, TOO_LARGE, NO_SPACE.
    """
    from backend.exports.formats import TAKE_FORMATS, export_take

    if request.format not in TAKE_FORMATS:
        known = ", ".join(TAKE_FORMATS)
        raise MienError(ErrorCode.USAGE, f"There is no take format {request.format!r}.", f"Use one of: {known}.")
    try:
        with tempfile.TemporaryDirectory(prefix="mien-export-") as name:
            try:
                export_take(request.take, request.format, Path(name), request.stem)
                return _read(Path(name), request.stem)
            except MienError as error:  # the client knows nothing of this folder
                message = error.message.replace(f"{name}/", "").replace(f"{name}\\", "")
                raise MienError(error.code, message, error.remedy) from error
    except OSError as error:
        raise file_error(request.stem, error) from error


def _read(folder: Path, stem: str) -> tuple[ExportedFile, ...]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    size = sum(path.stat().st_size for path in paths)
    if size > MAX_EXPORT or len(paths) >= m.MAX_ARRAYS:
        message = f"{stem} would have {size / 1e6:.0f} MB in {len(paths)} files, which is too much to send."
        raise MienError(ErrorCode.TOO_LARGE, message, "Export it with 'mien export' where the backend runs.")
    return tuple(
        ExportedFile(path.relative_to(folder).as_posix(), np.frombuffer(path.read_bytes(), np.uint8)) for path in paths
    )
