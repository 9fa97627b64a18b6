# SPDX-License-Identifier: GPL-3.0-or-later
"""What the artist sees: preferences, panels, operators."""

from __future__ import annotations

import atexit


def _classes() -> tuple[type, ...]:
    """All classes, those that others refer to first; the panels in the order of work."""
    from . import (
        backend_operators,
        capture_operators,
        capture_panels,
        character_operators,
        character_panels,
        choice_operators,
        detail_operators,
        detail_panel,
        drop,
        emotion_panel,
        export_operators,
        export_panel,
        face_panels,
        head_operators,
        import_operators,
        live_operators,
        models_operators,
        source_operators,
        source_panels,
        state_panel,
        take_operators,
        takes_panels,
    )
    from .character_properties import MienChannel, MienCharacter
    from .detail_properties import MienDetail
    from .export_properties import MienExportSettings
    from .preferences import MienPreferences
    from .properties import MienReference, MienSettings
    from .records import MienJob
    from .take_properties import MienTake

    operators = (
        source_operators,
        choice_operators,
        models_operators,
        capture_operators,
        live_operators,
        backend_operators,
        take_operators,
        head_operators,
        detail_operators,
        character_operators,
        export_operators,
        import_operators,
    )
    sections = (state_panel, source_panels, capture_panels, takes_panels, face_panels)
    closed = (detail_panel, emotion_panel, character_panels, export_panel)
    panels = (*sections, *closed, drop)
    settings = (MienReference, MienChannel, MienCharacter, MienExportSettings, MienSettings)
    own = (MienPreferences, MienDetail, MienJob, MienTake, *settings)
    return (*own, *(cls for module in (*operators, *panels) for cls in module.CLASSES))


def register() -> None:
    """Register all classes."""
    import bpy

    from .. import compat
    from . import ticker
    from .detail_properties import add_to_objects
    from .properties import add_to_scenes
    from .session import end_session

    for cls in _classes():
        bpy.utils.register_class(cls)
    add_to_scenes()
    add_to_objects()
    ticker.add_handlers()
    compat.add_exit_handler(end_session)
    atexit.register(end_session)


def unregister() -> None:
    """Unregister all classes and end the backend."""
    import bpy

    from .. import compat
    from ..character import targets
    from . import character_live, character_state, dots, emotion, facts, pictures, smoothing, ticker
    from .detail_properties import remove_from_objects
    from .properties import remove_from_scenes
    from .session import end_session

    ticker.stop()
    end_session()
    atexit.unregister(end_session)
    compat.remove_exit_handler(end_session)
    ticker.remove_handlers()
    remove_from_scenes()
    remove_from_objects()
    for cls in reversed(_classes()):
        bpy.utils.unregister_class(cls)
    facts.forget()
    pictures.forget()
    smoothing.forget()
    dots.forget()
    emotion.forget()
    character_live.forget()
    character_state.forget()
    targets.forget()
