# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a capture leaves displacement maps."""

from __future__ import annotations

from collections.abc import Iterable

from backend.detail.wrinkles import Wrinkles, load_wrinkles, sees_wrinkles
from backend.session import Session
from blender_addon.contract.options import CaptureOptions
from blender_addon.contract.take import Take


def wrinkles_of(session: Session, options: CaptureOptions, takes: Iterable[Take]) -> Wrinkles | None:
    """The decoder for takes that have detail codes; None where none has, or where no maps were asked for."""
    if not options.displacement or not all(map(sees_wrinkles, takes)):
        return None
    return load_wrinkles(options.engine, options.weights, session.device)
