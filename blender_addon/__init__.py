# SPDX-License-Identifier: GPL-3.0-or-later
"""Mien in Blender. Only `register` and `unregister` touch bpy, so that the contract can be imported anywhere."""


def register() -> None:
    """Called by Blender when the add-on is enabled."""
    from . import ui

    ui.register()


def unregister() -> None:
    """Called by Blender when the add-on is disabled; stops the backend."""
    from . import ui

    ui.unregister()
