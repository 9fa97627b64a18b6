# SPDX-License-Identifier: GPL-3.0-or-later
"""When Blender calls the add-on by itself: a timer, and handlers of files and undo."""

from __future__ import annotations

import traceback

import bpy

from ..client.events import ClientState
from ..contract.errors import ErrorCode, MienError
from ..rig import preview
from . import character_live, smoothing
from .session import Session, present_session
from .tell import redraw

LIVE_SECONDS = 0.015
ACTIVE_SECONDS = 0.05
IDLE_SECONDS = 0.5


def start() -> None:
    """Let the timer run."""
    if bpy.app.timers.is_registered(tick):
        bpy.app.timers.unregister(tick)  # it may sleep
    bpy.app.timers.register(tick, first_interval=0.0, persistent=True)


def stop() -> None:
    """Let the timer rest."""
    if bpy.app.timers.is_registered(tick):
        bpy.app.timers.unregister(tick)


def tick() -> float | None:
    """The timer: Blender's only call into the session while nothing is clicked."""
    current = present_session()
    try:
        changed = smoothing.apply_waiting()
        if (current is not None and current.pump()) or changed:
            redraw()
    except Exception as error:  # noqa: BLE001  # a timer that raises is never called again, and the panel would hang
        traceback.print_exc()
        if current is not None:
            current.captures.clear()
            message = f"Mien failed inside Blender: {type(error).__name__}: {error}."
            remedy = "Blender's console says more; the menu Jobs brings back what was done."
            current.error = MienError(ErrorCode.INTERNAL, message, remedy)
        redraw()
    return _interval(current)


def _interval(current: Session | None) -> float | None:
    if current is None:
        return ACTIVE_SECONDS if smoothing.waiting() else None
    if current.live:
        return LIVE_SECONDS
    tasks = current.captures or current.exports.running or current.imports.running or current.adding.running
    busy = tasks or smoothing.waiting() or current.client_state is ClientState.STARTING
    return ACTIVE_SECONDS if busy else IDLE_SECONDS


def resume() -> None:
    """Go on with the captures that the open file remembers: the add-on was disabled while they ran."""
    from .session import session  # not made before there is something to remember

    if any(scene.mien.jobs for scene in bpy.data.scenes):
        session().enter_file()


@bpy.app.handlers.persistent
def before_load(*_: object) -> None:
    """Another file is opened."""
    if current := present_session():
        current.leave_file()


@bpy.app.handlers.persistent
def after_load(*_: object) -> None:
    """Another file is open; it may remember captures."""
    preview.remove_previews()
    resume()


@bpy.app.handlers.persistent
def before_save(*_: object) -> None:
    """The file is saved with what runs, but not in the pose of a live capture."""
    if current := present_session():
        current.remember()
        character_live.stand()


@bpy.app.handlers.persistent
def after_undo(*_: object) -> None:
    """What undo has taken away or brought back, and must not."""
    if current := present_session():
        current.remember()
        current.previews.clean()
    smoothing.reconcile()


_HANDLERS = (
    ("load_pre", before_load),
    ("load_post", after_load),
    ("save_pre", before_save),
    ("undo_post", after_undo),
    ("redo_post", after_undo),
)


def add_handlers() -> None:
    """Let Blender call the handlers, and `resume` as soon as it lets an add-on that is enabled see its data."""
    bpy.app.timers.register(resume, first_interval=0.0, persistent=True)
    for name, handler in _HANDLERS:
        getattr(bpy.app.handlers, name).append(handler)


def remove_handlers() -> None:
    """Undo `add_handlers`."""
    if bpy.app.timers.is_registered(resume):
        bpy.app.timers.unregister(resume)
    for name, handler in _HANDLERS:
        handlers = getattr(bpy.app.handlers, name)
        if handler in handlers:
            handlers.remove(handler)
