# SPDX-License-Identifier: GPL-3.0-or-later
"""Where Mien keeps its files. Both processes find each other through these paths;
none of them is created by asking for it.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from .errors import ErrorCode, MienError


def data_dir() -> Path:
    """Folder of everything that Mien keeps between runs; `$MIEN_HOME` overrides the system's usual place."""
    if home := os.environ.get("MIEN_HOME"):
        return Path(home).expanduser().absolute()
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "Mien"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "Mien"
    xdg = os.environ.get("XDG_DATA_HOME", "")
    # The XDG specification says that a relative path there is to be ignored.
    return (Path(xdg) if os.path.isabs(xdg) else Path.home() / ".local" / "share") / "mien"


def models_dir() -> Path:
    """Folder of verified model files and of converted files that the user brought."""
    return data_dir() / "models"


def jobs_dir() -> Path:
    """Folder with one sub-folder for each job of the backend."""
    return data_dir() / "jobs"


def logs_dir() -> Path:
    """Folder of log files."""
    return data_dir() / "logs"


def environments_dir() -> Path:
    """Folder of the Python environments that the set-up made."""
    return data_dir() / "environments"


@dataclass(frozen=True)
class BackendRecord:
    """Which Python runs the backend, written by the set-up and read by the add-on.

    Attributes:
        python: Absolute path of the interpreter.
        root: Folder to run it in, from which `backend` is importable.
        version: Version of Mien installed there.
    """

    python: str
    root: str
    version: str


def backend_record_path() -> Path:
    """Path of the JSON file behind `read_backend_record`."""
    return data_dir() / "backend.json"


def read_backend_record() -> BackendRecord | None:
    """Read which backend is installed; None when none was set up.

    Raises:
        MienError: SETUP_FAILED when the record cannot be read or is damaged.
    """
    path = backend_record_path()
    remedy = "Run the backend set-up again."
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except OSError as error:
        message = f"The backend record {path} cannot be read: {error.strerror}."
        raise MienError(ErrorCode.SETUP_FAILED, message, remedy) from error
    except ValueError as error:
        raise MienError(ErrorCode.SETUP_FAILED, f"The backend record {path} is damaged.", remedy) from error
    names = ("python", "root", "version")
    if not isinstance(fields, dict) or any(not isinstance(fields.get(name), str) for name in names):
        raise MienError(ErrorCode.SETUP_FAILED, f"The backend record {path} is incomplete.", remedy)
    return BackendRecord(*(fields[name] for name in names))


def write_backend_record(record: BackendRecord) -> None:
    """Write the record atomically, making the data folder if needed.

    Raises:
        MienError: NO_SPACE, NOT_PERMITTED or MISSING_FILE.
    """
    from .files import atomic_write, make_folder  # here, so that asking for a path does not import numpy

    make_folder(data_dir())
    text = json.dumps(asdict(record), indent=2) + "\n"
    atomic_write(backend_record_path(), lambda file: file.write(text.encode()))
