# SPDX-License-Identifier: GPL-3.0-or-later
"""Which program wrote a file, by what is in it rather than by its name."""

from __future__ import annotations

import os
from pathlib import Path

from blender_addon.contract.files import file_error

from .codes import EMOCA, SMIRK
from .gaussian_avatars import CAMERAS, PARAMETERS
from .metrical_tracker import is_frame
from .records import Record, listed, read_records
from .tables import bad_import

KINDS = ("npz", "livelink", "vhap", "gaussian-avatars", "metrical-tracker", "smirk", "emoca")
"""Kinds of files that become takes."""
_REMEDY = "Say with --kind what it is, or choose a file of one of the kinds in docs/formats.md."


def kind_of(path: Path) -> str:
    """Which of `KINDS` a file or folder is.

    Raises:
        MienError: BAD_IMPORT where it is none.
    """
    if os.path.isdir(path):
        names = listed(path)
        if CAMERAS in names or PARAMETERS in names:
            return "gaussian-avatars"
    elif start := _start(path):
        if _is_text(start):
            return _kind_of_text(path, start)
    else:
        raise bad_import(path, "is empty", _REMEDY)
    kind = _kind_of_record(next(read_records(path)))
    if kind == "npz" and os.path.isdir(path):
        raise bad_import(path, "is a folder of takes, and each is a file of its own", "Choose one of the takes.")
    return kind


def _start(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(4096)
    except OSError as error:
        raise file_error(path, error, "read") from error


def _is_text(start: bytes) -> bool:
    return not start.startswith((b"PK", b"\x93NUMPY", b"\x80")) and b"," in start and b"\0" not in start


def _kind_of_text(path: Path, start: bytes) -> str:
    if b"timecode" in start.split(b"\n")[0].lower() or b"eyeblinkleft" in start.lower():
        return "livelink"
    raise bad_import(path, "is a text of no kind that Mien knows", _REMEDY)


def _kind_of_record(record: Record) -> str:
    if record.has("meta", "identity", "expression", "head_rotation"):
        return "npz"
    if is_frame(record):
        return "metrical-tracker"
    if record.has("rotation", "translation", "jaw_pose", "expr"):
        single = not record.has("timestep_id") and record.frames("expr") == 1
        return "gaussian-avatars" if single else "vhap"
    for kind, layout in (("smirk", SMIRK), ("emoca", EMOCA)):
        if layout.fits(record):
            return kind
    some = ", ".join(sorted(record.values)[:8]) or "nothing"
    raise record.refuse(f"is of no kind that Mien knows: it holds {some}", _REMEDY)
