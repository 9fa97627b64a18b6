# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's own exporters: switched on while they are needed, their failures as errors that say what to do."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import addon_utils
import bpy

from ..contract.errors import ErrorCode, MienError
from ..contract.files import file_error

_ROOM = 1 << 20


@contextmanager
def enabled(module: str) -> Iterator[None]:
    """Have an add-on of Blender's switched on, and off again if it was.

    Raises:
        MienError: CANNOT_EXPORT where this Blender lacks it.
    """
    _, loaded = addon_utils.check(module)
    # With its entry in the preferences, since some look there; it goes again with the add-on.
    if not loaded and addon_utils.enable(module, default_set=True) is None:
        message = f"This Blender lacks the add-on {module}, which writes the format."
        raise MienError(ErrorCode.CANNOT_EXPORT, message, "Use a complete Blender, or choose another format.")
    try:
        yield
    finally:
        if not loaded:
            addon_utils.disable(module, default_set=True)


def run(operator: Any, path: Path, **options: Any) -> None:
    """Let an exporter write a file.

    Args:
        operator: Of `bpy.ops`.
        path: The file.
        options: The exporter's, without its path.

    Raises:
        MienError: NO_SPACE, NOT_PERMITTED or CANNOT_EXPORT, with what the exporter said.
    """
    with contextlib.redirect_stdout(io.StringIO()):  # they tell every step
        try:
            done = operator("EXEC_DEFAULT", filepath=str(path), **options)
        except RuntimeError as error:  # what bpy.ops raises when Blender reports an error
            raise _failure(path, str(error)) from error
    if "FINISHED" not in done or not path.is_file() or not path.stat().st_size:
        raise _failure(path, "the exporter wrote nothing")
    require_room(path, path.stat().st_size + _ROOM)  # those that do not notice end where the disk does


def _failure(path: Path, said: str) -> MienError:
    require_room(path, _ROOM)
    lines = [line.strip() for line in said.strip().splitlines() if line.strip()] or ["no reason was given"]
    reason = lines[-1].removeprefix("Error: ").rstrip(".")
    return MienError(
        ErrorCode.CANNOT_EXPORT,
        f"{path} cannot be written: {reason}.",
        "Check the space and permissions there, or choose another format.",
        {"path": str(path), "said": said},
    )


def require_room(path: Path, size: int) -> None:
    """Make sure that a file of this many bytes can be written: not every exporter survives a full disk.

    Raises:
        MienError: NO_SPACE, NOT_PERMITTED.
    """
    probe = path.with_name(f"{path.name}.probe")
    try:
        if shutil.disk_usage(path.parent).free < size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with open(probe, "wb") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)  # quotas and limits count as well
            else:
                file.truncate(size)
    except OSError as error:
        raise file_error(path, error) from error
    finally:
        probe.unlink(missing_ok=True)


def operator(group: str, name: str) -> Any:
    """An exporter by its name, found when it is needed: add-ons bring some.

    Raises:
        MienError: CANNOT_EXPORT where this Blender was built without it, as those of some distributions are.
    """
    found = getattr(getattr(bpy.ops, group), name)
    try:
        found.get_rna_type()
    except KeyError as error:
        message = f"This Blender was built without the exporter {group}.{name}."
        raise MienError(ErrorCode.CANNOT_EXPORT, message, "Use Blender from blender.org.") from error
    return found
