# SPDX-License-Identifier: GPL-3.0-or-later
"""The head that a take is on: the open one, one that was added, or a file that the user names."""

from __future__ import annotations

from backend.heads import load_head
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.head import HeadDescription
from blender_addon.contract.take import Take

_NOT_THERE = (ErrorCode.MISSING_FILE, ErrorCode.WRONG_HEAD)


def head_of(take: Take, file: str | None = None) -> HeadDescription:
    """The head of a take.

    Args:
        take: The take.
        file: A head's name or file, None to find it by its hash.

    Raises:
        MienError: WRONG_HEAD where the file is another head, or no head of that hash is there; what loading it raises.
    """
    if file is not None:
        return _checked(take, load_head(file), file)
    opened = load_head("open")
    if take.meta.head_sha256 == opened.sha256:
        return opened
    try:
        return load_head(take.meta.head_sha256)
    except MienError as error:
        if error.code not in _NOT_THERE:
            raise
        message = (
            f"The take of {take.meta.source} is on the head '{take.meta.head_id}' "
            f"({take.meta.head_sha256[:8] or 'no hash'}), which is not here."
        )
        remedy = "Add the head's file with 'mien models add FILE', or name it with --head FILE."
        raise MienError(ErrorCode.WRONG_HEAD, message, remedy, {"cause": "head"}) from error


def _checked(take: Take, head: HeadDescription, file: str) -> HeadDescription:
    if head.sha256 != take.meta.head_sha256:
        message = (
            f"{file} is not the head of this take: it has the hash {head.sha256[:8]}, and the take was made with the "
            f"head '{take.meta.head_id}' ({take.meta.head_sha256[:8] or 'no hash'})."
        )
        remedy = "Name the very file that the take was made with: releases of FLAME differ though their names do not."
        raise MienError(ErrorCode.WRONG_HEAD, message, remedy, {"cause": "head"})
    take.require_head(head)
    return head
