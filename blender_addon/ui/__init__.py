# SPDX-License-Identifier: GPL-3.0-or-later
"""What the artist sees: preferences, panels, operators."""

from __future__ import annotations

import atexit


def _classes() -> tuple[type, ...]:
    """All classes, those that others refer to first."""
    from . import backend_operators, capture_operators, drop, face_panels, head_operators, panels
    from .preferences import MienPreferences
    from .properties import MienSettings, MienTake

    modules = (capture_operators, backend_operators, head_operators, panels, face_panels, drop)
    return (MienPreferences, MienTake, MienSettings, *(cls for module in modules for cls in module.CLASSES))


def register() -> None:
    """Register all classes."""
    import bpy

    from .. import compat
    from .properties import add_to_scenes
    from .session import before_load, end_session

    for cls in _classes():
        bpy.utils.register_class(cls)
    add_to_scenes()
    bpy.app.handlers.load_pre.append(before_load)
    compat.add_exit_handler(end_session)
    atexit.register(end_session)


def unregister() -> None:
    """Unregister all classes and end the backend."""
    import bpy

    from .. import compat
    from . import dots, facts
    from .properties import remove_from_scenes
    from .session import before_load, end_session

    end_session()
    atexit.unregister(end_session)
    compat.remove_exit_handler(end_session)
    bpy.app.handlers.load_pre.remove(before_load)
    remove_from_scenes()
    for cls in reversed(_classes()):
        bpy.utils.unregister_class(cls)
    facts.forget()
    dots.forget()
