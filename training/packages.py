# SPDX-License-Identifier: GPL-3.0-or-later
"""The packages that training alone needs."""

from __future__ import annotations

from importlib.util import find_spec

from blender_addon.contract.errors import ErrorCode, MienError

NEEDED = ("lightning", "tensorboard")


def require_packages() -> None:
    """Make sure that they are there, before anything is built on them.

    Raises:
        MienError: SETUP_FAILED, naming what is missing and how to install it.
    """
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        message = f"Training needs {' and '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed."
        raise MienError(ErrorCode.SETUP_FAILED, message, "Run 'mien setup --train' once.")
