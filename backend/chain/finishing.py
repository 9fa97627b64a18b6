# SPDX-License-Identifier: GPL-3.0-or-later
"""What is added to a take once it is solved and smoothed, before anybody sees it."""

from __future__ import annotations

from backend.retarget.arkit import with_arkit
from backend.session import Session
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.head import HeadDescription
from blender_addon.contract.take import Take


def finished(session: Session, head: HeadDescription, take: Take) -> Take:
    """The take with what others than its own head's rig need of it: ARKit's weights, where its channels are others.

    A head that cannot be compared with the open one costs the weights, not the capture: whoever asks the take for them
    is told so, and `mien convert --arkit` says why.

    Args:
        session: The loaded models.
        head: The take's head.
        take: Every frame of a person.

    Raises:
        MienError: CANCELLED.
    """
    try:
        return with_arkit(take, head)
    except MienError as error:
        if error.code is not ErrorCode.BAD_HEAD:
            raise
        return take
