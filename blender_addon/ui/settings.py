# SPDX-License-Identifier: GPL-3.0-or-later
"""What the preferences mean: where the backend lives, local or remote, and the add-on's own folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

from ..client.launch import ClientSettings, RemoteBackend
from ..contract.errors import MienError
from ..contract.places import BackendRecord, data_dir, read_backend_record
from ..contract.version import VERSION

ADDON = __package__.rpartition(".")[0]
SETUP_COMMAND = "python scripts/mien.py setup"


def preferences() -> Any:
    """The add-on's preferences."""
    return bpy.context.preferences.addons[ADDON].preferences


def user_folder(name: str) -> str:
    """A folder of the add-on's own, where Blender wants add-ons to write; made if missing."""
    return str(bpy.utils.extension_path_user(ADDON, path=name, create=True))


def client_settings() -> ClientSettings:
    """What the client needs to know, from the preferences."""
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
