# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on's preferences: where the backend lives, its state and log, and a remote one."""

from __future__ import annotations

from typing import Any

import bpy
from bpy.props import BoolProperty, StringProperty

from ..client.launch import ClientSettings, RemoteBackend
from ..contract.errors import MienError
from ..contract.places import BackendRecord, data_dir, read_backend_record
from ..contract.version import VERSION

ADDON = __package__.rpartition(".")[0]
SETUP_COMMAND = "python scripts/mien.py setup"


def _changed(_preferences: Any, _context: Any) -> None:
    from .session import session

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
        from .preferences_layout import draw_preferences

        draw_preferences(self, self.layout)


def preferences() -> Any:
    """The add-on's preferences."""
    return bpy.context.preferences.addons[ADDON].preferences


def user_folder(name: str) -> str:
    """A folder of the add-on's own, where Blender wants add-ons to write; made if missing."""
    return str(bpy.utils.extension_path_user(ADDON, path=name, create=True))


def client_settings() -> ClientSettings:
    """What the client needs to know, from the preferences."""
    from pathlib import Path

    chosen = preferences()
    remote = RemoteBackend(chosen.remote_address.strip(), chosen.remote_key.strip()) if chosen.use_remote else None
    return ClientSettings(heads_folder=Path(user_folder("heads")), remote=remote, record=chosen_record())


def chosen_record() -> BackendRecord | None:
    """The backend that the user named in the preferences; None where the set-up's record counts."""
    chosen = preferences()
    python, folder = bpy.path.abspath(chosen.backend_python), bpy.path.abspath(chosen.backend_folder)
    return BackendRecord(python, folder, VERSION) if python and folder else None


def where_it_lives() -> tuple[str, ...]:
    """Lines that say which backend is used, for the preferences."""
    try:
        record = chosen_record() or read_backend_record()
    except MienError as error:
        return error.message, error.remedy
    if record is None:
        return ()
    return f"Folder: {record.root}", f"Python: {record.python}", f"Data: {data_dir()}"
