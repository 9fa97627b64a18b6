# SPDX-License-Identifier: GPL-3.0-or-later
"""Which head the artist works on."""

from __future__ import annotations

from typing import Any

from ..rig import names

NO_HEAD = "Select a head that Mien captured, or its rig"


def active_head(context: Any) -> Any | None:
    """The mesh object of the head that is active, by itself or by its rig."""
    item = context.active_object
    if item is None:
        return None
    if names.is_mien_head(item):
        return item
    if item.type == "ARMATURE":
        return next((child for child in item.children if names.is_mien_head(child)), None)
    return None


def has_head(cls: Any, context: Any) -> bool:
    """Poll for operators that need a head; says why when there is none."""
    if active_head(context) is None:
        cls.poll_message_set(NO_HEAD)
        return False
    return True
