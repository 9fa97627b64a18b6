# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists of pictures in an npy of texts, as DECA's datasets have them."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np

from backend.weights.restricted import load_restricted
from blender_addon.contract.errors import ErrorCode, MienError


def read_list(path: Path, parts: int) -> list[list[str]]:
    """The rows of a list, each one or more names of `parts` parts with slashes.

    Raises:
        MienError: MISSING_FILE, NOT_PERMITTED; BAD_MANIFEST where it holds something else.
    """
    content = load_restricted(path, code=ErrorCode.BAD_MANIFEST)
    rows = content.tolist() if isinstance(content, np.ndarray) else content
    if not isinstance(rows, list) or not rows:
        raise _bad(path, "holds no list of names")
    named = [[_text(name) for name in (row if isinstance(row, list | tuple) else [row])] for row in rows]
    for row in named:
        for name in row:
            place = PurePosixPath(name)
            if len(place.parts) != parts or place.is_absolute() or ".." in place.parts:
                raise _bad(path, f"names {name[:60]!r}, which has not {parts} parts")
    return named


def _text(name: object) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)


def _bad(path: Path, reason: str) -> MienError:
    remedy = "Give the npy with which DECA was trained, or one like it, or no list at all."
    return MienError(ErrorCode.BAD_MANIFEST, f"{path} {reason}.", remedy, {"path": str(path)})
