# SPDX-License-Identifier: GPL-3.0-or-later
"""What the preferences mean: where the backend lives, local or remote, and the add-on's own folders."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import bpy

from ..client.launch import ClientSettings, RemoteBackend
from ..contract.errors import ErrorCode, MienError
from ..contract.places import BackendRecord, backend_record_path, data_dir, read_backend_record
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
    """What the client needs to know, from the preferences.

    Raises:
        MienError: NO_NETWORK when Blender may not talk to the remote backend.
    """
    if problem := network_problem():
        raise problem
    chosen = preferences()
    remote = RemoteBackend(chosen.remote_address.strip(), chosen.remote_key.strip()) if chosen.use_remote else None
    heads, takes = Path(user_folder("heads")), Path(user_folder("takes"))
    return ClientSettings(heads, remote, chosen_record(), takes_folder=takes)


def chosen_record() -> BackendRecord | None:
    """The backend that the user named in the preferences; None where the set-up's record counts."""
    chosen = preferences()
    python, folder = bpy.path.abspath(chosen.backend_python), bpy.path.abspath(chosen.backend_folder)
    return BackendRecord(python, folder, VERSION) if python and folder else None


def used_record() -> BackendRecord | None:
    """The backend on this computer; None where none is installed. Reads the set-up's record only when it changed.

    Raises:
        MienError: SETUP_FAILED when the record cannot be read or is damaged.
    """
    path = backend_record_path()
    try:
        changed = path.stat().st_mtime_ns
    except OSError:
        changed = 0
    return chosen_record() or _kept_record(path, changed)


@lru_cache(maxsize=1)
def _kept_record(_path: Path, _changed: int) -> BackendRecord | None:
    return read_backend_record()


def network_problem() -> MienError | None:
    """Why Blender may not talk to the backend; this computer's own is never forbidden."""
    chosen = preferences()
    if not chosen.use_remote or bpy.app.online_access or _is_here(chosen.remote_address.strip()):
        return None
    message = "Blender may not use the network."
    remedy = "Switch on Allow Online Access in the preferences' section System, or switch Remote Backend off."
    if bpy.app.online_access_override:
        remedy = "Start Blender without --offline-mode, or switch Remote Backend off."
    return MienError(ErrorCode.NO_NETWORK, message, remedy)


def _is_here(address: str) -> bool:
    """Whether an address is of this computer, or of none at all."""
    try:
        host = urlsplit(address).hostname or "localhost"
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:  # a name, not a number
        return False


def where_it_lives() -> tuple[str, ...]:
    """Lines that say which backend is used, for the preferences."""
    try:
        record = used_record()
    except MienError as error:
        return error.message, error.remedy
    if record is None:
        return ()
    return f"Folder: {record.root}", f"Python: {record.python}", f"Data: {data_dir()}"
