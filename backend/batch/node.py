# SPDX-License-Identifier: GPL-3.0-or-later
"""What a machine of a cluster is asked to do, with plain values to and fro."""

from __future__ import annotations

import os
from collections.abc import Mapping

from blender_addon.contract.version import VERSION

from . import worker


def probe(version: str, marker: str, token: str) -> str:
    """Whether this machine can do shots.

    Args:
        version: Mien's on the machine that asks.
        marker: A file that it has written beside the results.
        token: What it has written there.

    Returns:
        What is wrong, as the rest of a sentence about this machine; empty where nothing is.
    """
    if version != VERSION:
        return f"has Mien {VERSION} instead of {version}"
    out = os.path.dirname(marker)
    try:
        with open(marker, encoding="utf-8") as file:
            same = file.read() == token
    except OSError as error:
        return f"does not see the results' folder {out} that this machine sees ({error.strerror})"
    if not same:
        return f"sees another folder at {out} than this machine"
    return "" if os.access(out, os.W_OK) else f"may not write to {out}"


def do(version: str, task: Mapping[str, object]) -> worker.Answer:
    """Do a shot; see `worker.do`.

    Raises:
        RuntimeError: A machine that has joined since the probes has another Mien.
    """
    if version != VERSION:
        raise RuntimeError(f"the machine has Mien {VERSION} instead of {version}")
    return worker.do(task)
