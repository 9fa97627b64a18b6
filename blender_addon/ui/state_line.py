# SPDX-License-Identifier: GPL-3.0-or-later
"""The line that says how the backend is, with the button that mends it; and errors in full."""

from __future__ import annotations

import textwrap
from typing import Any

from ..client.events import ClientState
from ..contract.errors import ErrorCode, MienError
from .dots import Colour, dot
from .session import Session

_DOTS: dict[ClientState, Colour] = {
    ClientState.STOPPED: "grey",
    ClientState.STARTING: "amber",
    ClientState.READY: "green",
    ClientState.BUSY: "green",
    ClientState.FAILED: "red",
}
_FIXES = {
    ErrorCode.SETUP_FAILED: ("mien.open_preferences", "Preferences"),
    ErrorCode.VERSION_MISMATCH: ("mien.open_preferences", "Preferences"),
    ErrorCode.UNAUTHORISED: ("mien.open_preferences", "Preferences"),
    ErrorCode.NO_NETWORK: ("mien.open_preferences", "Preferences"),
    ErrorCode.BACKEND_DIED: ("mien.restart_backend", "Restart"),
}
_SHORT = {
    ErrorCode.SETUP_FAILED: "Not set up",
    ErrorCode.VERSION_MISMATCH: "Other version",
    ErrorCode.UNAUTHORISED: "Key refused",
    ErrorCode.NO_NETWORK: "Offline",
    ErrorCode.BACKEND_DIED: "Stopped",
}
_BUTTON = 16  # characters that the button and the menu take


def draw_state(layout: Any, session: Session, width: int | None = None) -> None:
    """Draw the state line.

    Args:
        layout: Where.
        session: Whose state.
        width: Characters in a line, which a failure shares with the button that mends it; None for all the room that
            is needed and no button.
    """
    row = layout.row(align=True)
    text, error = session.phrase, session.client_error
    failed = session.client_state is ClientState.FAILED and error is not None and width is not None
    if failed and len(text) > width - _BUTTON:
        text = _SHORT.get(error.code, "Failed")  # all of it stands below
    row.label(text=text, icon_value=dot(_DOTS[session.client_state]))
    if failed:
        operator, label = _FIXES.get(error.code, ("mien.open_log", "Open Log"))
        row.operator(operator, text=label)


def draw_problem(layout: Any, error: MienError, width: int, *, clear: bool = True) -> None:
    """Draw an error: what happened, what to do, and the log.

    Args:
        layout: Where.
        error: The error.
        width: Characters in a line.
        clear: Also a button that hides it.
    """
    box = layout.box()
    column = box.column(align=True)
    first, *more = textwrap.wrap(error.message, width)
    row = column.row(align=True)
    row.alert = True
    row.label(text=first, icon="ERROR")
    if clear:
        row.operator("mien.clear_error", text="", icon="X", emboss=False)
    for line in (*more, *textwrap.wrap(error.remedy, width)):
        column.label(text=line)
    box.operator("mien.open_log", text="Open Log", icon="TEXT")
