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
    """Poll for operators that change a head; says why when there is none, or none that can be changed."""
    head = active_head(context)
    if head is None:
        cls.poll_message_set(NO_HEAD)
        return False
    if head.library or head.data.library:
        cls.poll_message_set("This head is linked from another file; make it local or a library override to change it")
        return False
    return True
