# SPDX-License-Identifier: GPL-3.0-or-later
"""The backend as a child process: starting it, learning its port, and saying why it ended."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ..contract.errors import ErrorCode, MienError
from ..contract.files import file_error, make_folder
from ..contract.keys import KeyPair, is_key
from ..contract.messages import version_mismatch
from ..contract.version import PROTOCOL

LOG_NAME = "backend-output.log"
"""Name of the file that gets what the child writes."""
_TAIL_BYTES = 8192
_LAST_WORDS = 0.1
_OUT_OF_MEMORY = re.compile(r"out of memory|MemoryError|bad_alloc|not enough memory", re.IGNORECASE)
_RESTART = "Capture again to restart it; the log says more."


@dataclass(frozen=True)
class ChildCommand:
    """How to start the backend.

    Attributes:
        arguments: The command, the interpreter first.
        folder: Folder to run it in.
    """

    arguments: Sequence[str]
    folder: str


@dataclass(frozen=True)
class Address:
    """Where a backend listens, and its public key in Z85."""

    endpoint: str
    public_key: str


class BackendProcess:
    """A running backend that ends when this process does.

    Args:
        command: What to run.
        log_folder: Gets the child's output, anew at each start.
        server_keys: Handed to the child on its standard input.
        client_public: Public key of the only client that it shall admit.

    Raises:
        MienError: SETUP_FAILED when it cannot be started, or what making the log raises.
    """

    def __init__(self, command: ChildCommand, log_folder: Path, server_keys: KeyPair, client_public: str) -> None:
        self.log_file = log_folder / LOG_NAME
        make_folder(log_folder)
        try:
            log = open(self.log_file, "wb")  # noqa: SIM115  # closed below; the child keeps its own copy
        except OSError as error:
            raise file_error(self.log_file, error) from error
        with log:
            self._child = self._start(command, log)
        self._lines: list[bytes] = []
        self._reader = threading.Thread(target=self._read, args=(self._child.stdout,), name="mien-backend", daemon=True)
        self._reader.start()
        keys = {
            "server_public": server_keys.public,
            "server_secret": server_keys.secret,
            "client_public": client_public,
        }
        try:
            self._child.stdin.write(json.dumps(keys).encode() + b"\n")
            self._child.stdin.flush()
        except OSError:
            pass  # it has ended already; `death` tells why

    @staticmethod
    def _start(command: ChildCommand, log: IO[bytes]) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                list(command.arguments),
                cwd=command.folder,
                env=clean_environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                creationflags=subprocess.CREATE_NO_WINDOW if sys.platform == "win32" else 0,
            )
        except OSError as error:
            missing = error.filename or command.arguments[0]
            message = f"The backend cannot be started: {missing}: {error.strerror}."
            raise MienError(ErrorCode.SETUP_FAILED, message, "Run the backend set-up again.") from error

    def _read(self, stream: IO[bytes]) -> None:
        """Take the first line; read on and forget, so that a full pipe never stops the child."""
        for line in stream:
            if not self._lines:
                self._lines.append(line)

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._child.pid

    def address(self) -> Address | None:
        """Where it listens, or None while it has not said so.

        Raises:
            MienError: VERSION_MISMATCH, or the child's own error if that is what it said.
        """
        if not self._lines:
            return None
        fields = _parse(self._lines[0])
        if error := _told_error(fields):
            raise error
        if fields.get("protocol") != PROTOCOL:
            raise version_mismatch(f"protocol {fields.get('protocol')}", f"protocol {PROTOCOL}")
        endpoint, key = fields.get("endpoint"), fields.get("public_key")
        if not isinstance(endpoint, str) or not is_key(key):
            message = "The backend said something that Mien does not understand."
            raise MienError(ErrorCode.SETUP_FAILED, message, "Run the backend set-up again.")
        return Address(endpoint, key)

    def death(self) -> MienError | None:
        """Why the child ended, or None while it runs."""
        code = self._child.poll()
        if code is None:
            return None
        self._reader.join(_LAST_WORDS)
        if self._lines and (error := _told_error(_parse(self._lines[0]))):
            return error
        return death_error(code, self._tail(), self.log_file)

    def _tail(self) -> str:
        try:
            with open(self.log_file, "rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL_BYTES))
                return file.read().decode("utf-8", "replace")
        except OSError:
            return ""  # without the log the exit status alone must do

    def close(self, timeout: float = 3.0) -> None:
        """End the child: by closing its input, or by force after `timeout` seconds (0: at once)."""
        try:
            self._child.stdin.close()
        except OSError:
            pass  # it has gone already
        try:
            if timeout > 0:
                self._child.wait(timeout)
        except subprocess.TimeoutExpired:
            pass
        if self._child.poll() is None:
            self._child.kill()
            self._child.wait()


def clean_environment() -> dict[str, str]:
    """This process's environment without what Blender sets for its own Python, which would break another one."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith("PYTHON")}
    return kept | {"PYTHONUTF8": "1"}


def _parse(line: bytes) -> dict[str, object]:
    try:
        fields = json.loads(line)
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}


def _told_error(fields: dict[str, object]) -> MienError | None:
    error = fields.get("error")
    if not isinstance(error, dict) or error.get("code") not in set(ErrorCode):
        return None
    return MienError(ErrorCode(error["code"]), str(error.get("message")), str(error.get("remedy")))


def death_error(code: int, output: str, log_file: Path) -> MienError:
    """One sentence about why a backend ended.

    Args:
        code: Exit status; negative for the number of a signal.
        output: The end of what it wrote.
        log_file: Where all of that is.

    Returns:
        MienError BACKEND_DIED, or SETUP_FAILED when a package is missing.
    """
    details = {"status": code, "log": str(log_file), "output": output[-2000:]}
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    last = lines[-1][:300] if lines else ""
    if code == -getattr(signal, "SIGKILL", 9) or _OUT_OF_MEMORY.search(last):
        message = "The backend stopped: out of memory, or it was ended by another program."
        remedy = "Close other programs, then capture again; the log says more."
        return MienError(ErrorCode.BACKEND_DIED, message, remedy, details)
    if "ModuleNotFoundError" in last or "ImportError" in last:
        remedy = "Run the backend set-up again."
        return MienError(ErrorCode.SETUP_FAILED, f"The backend is incomplete: {last}.", remedy, details)
    if code < 0:
        reason = f"signal {_signal_name(-code)}"
    else:
        reason = last or f"exit status {code}"
    return MienError(ErrorCode.BACKEND_DIED, f"The backend stopped: {reason.rstrip('.')}.", _RESTART, details)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
