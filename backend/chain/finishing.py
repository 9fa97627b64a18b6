# SPDX-License-Identifier: GPL-3.0-or-later
"""What is added to a take once it is solved and smoothed, before anybody sees it."""

from __future__ import annotations

from backend.session import Session
from blender_addon.contract.head import HeadDescription
from blender_addon.contract.take import Take


def finished(session: Session, head: HeadDescription, take: Take) -> Take:
    """The take with what others than its own head's rig need of it.

    Args:
        session: The loaded models.
        head: The take's head.
        take: Every frame of a person.
    """
    return take
