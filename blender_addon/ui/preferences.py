# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on's preferences: where the backend lives, its state and log, and a remote one."""

from __future__ import annotations

from typing import Any

import bpy
from bpy.props import BoolProperty, StringProperty

from .preferences_layout import draw_preferences
from .session import session
from .settings import ADDON


def _changed(_preferences: Any, _context: Any) -> None:
    session().settings_changed()


class MienPreferences(bpy.types.AddonPreferences):
    """Settings of this user."""

    bl_idname = ADDON

    use_remote: BoolProperty(
        name="Remote Backend",
        description="Capture on another computer; photos are sent there, encrypted",
        default=False,
        update=_changed,
    )
    remote_address: StringProperty(
        name="Address",
        description="Where the remote backend listens, in the form tcp://HOST:PORT",
        default="tcp://",
        update=_changed,
    )
    remote_key: StringProperty(
        name="Backend Key",
        description="Public key that the remote backend printed when it started, 40 characters",
        update=_changed,
    )
    backend_folder: StringProperty(
        name="Folder",
        description="Folder with the sources of Mien, where it was not found by itself",
        subtype="DIR_PATH",
        update=_changed,
    )
    backend_python: StringProperty(
        name="Python",
        description="Python of the environment that the set-up made, where it was not found by itself",
        subtype="FILE_PATH",
        update=_changed,
    )

    def draw(self, context: Any) -> None:
        """Draw the preferences."""
        draw_preferences(self, self.layout)
