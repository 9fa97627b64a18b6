# SPDX-License-Identifier: GPL-3.0-or-later
"""Head models: the open head that ships inside, and heads the user brings."""

from __future__ import annotations

import functools
from pathlib import Path

from blender_addon.contract.head import HeadDescription

from .asset import load_asset

OPEN_HEAD = Path(__file__).parent / "open_head" / "open_head.npz"


@functools.cache
def _open_head() -> HeadDescription:
    return load_asset(OPEN_HEAD)


def load_head(name_or_path: str | Path = "open") -> HeadDescription:
    """Load a head model.

    Args:
        name_or_path: "open" for the head that ships inside, the id ("flame2020", "flame2023", "flame2023_open") or the
            sha256 of one that was added, else a FLAME model file.

    Returns:
        The head; the open one is loaded once and shared.

    Raises:
        MienError: MISSING_FILE for one that was not added, BAD_HEAD and the like, as the loader of the file says.
    """
    name = str(name_or_path)
    if name == "open" or name == _open_head().sha256:
        return _open_head()
    from .stored import is_stored_name, stored_head  # here: the open head needs none of it

    if is_stored_name(name):
        return stored_head(name)
    from .carried import with_carried
    from .flame import load_flame

    return with_carried(load_flame(Path(name)))
