# SPDX-License-Identifier: GPL-3.0-or-later
"""From settings to an open connection: the child process, or the backend on another machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..contract.errors import ErrorCode, MienError
from ..contract.keys import KeyPair, kept_key_pair, new_key_pair
from ..contract.places import BackendRecord, data_dir, logs_dir, read_backend_record
from .connection import Connection, import_zmq
from .process import BackendProcess, ChildCommand

LAUNCH_SECONDS = 90.0
"""How long a backend may take to say where it listens: a cold disk and a virus scanner are slow."""


@dataclass(frozen=True)
class RemoteBackend:
    """A backend on another machine.

    Attributes:
        endpoint: `tcp://HOST:PORT`.
        public_key: Its public key in Z85.
    """

    endpoint: str
    public_key: str


@dataclass(frozen=True)
class ClientSettings:
    """What a client needs to know.

    Attributes:
        heads_folder: Keeps the heads that the backend sent.
        remote: Use this backend; None for a child process.
        record: Which Python runs the child; None to read what the set-up wrote.
        device: Where the child computes: auto, cpu, cuda, cuda:N, mps.
        threads: CPU threads of the child; None for its own choice.
        command: Run this instead of `python -m backend.cli serve` (tests).
        takes_folder: Where takes are saved; gets their displacement maps. None to leave those at the backend.
    """

    heads_folder: Path
    remote: RemoteBackend | None = None
    record: BackendRecord | None = None
    device: str = "auto"
    threads: int | None = None
    command: ChildCommand | None = None
    takes_folder: Path | None = None


def client_keys() -> KeyPair:
    """This user's key pair for remote backends, made at first use; the public half is for the backend's `clients.txt`.

    Raises:
        MienError: SETUP_FAILED for a missing zmq or a damaged file; NOT_PERMITTED, NO_SPACE.
    """
    return kept_key_pair(data_dir() / "keys" / "client.json", import_zmq().curve_keypair)


class Launch:
    """One life of a backend as seen from here.

    Args:
        settings: See `ClientSettings`.
        now: Monotonic seconds.

    Raises:
        MienError: SETUP_FAILED where the backend is not installed or cannot be started; UNAUTHORISED for a remote key
            that is none; what `client_keys` raises.
    """

    def __init__(self, settings: ClientSettings, now: float) -> None:
        self._started = now
        self._process: BackendProcess | None = None
        self._link: Connection | None = None
        if settings.remote:
            self._link = Connection(settings.remote.endpoint, settings.remote.public_key, client_keys())
            return
        command = settings.command or _command(settings)
        make = import_zmq().curve_keypair
        self._keys = new_key_pair(make)
        self._process = BackendProcess(command, logs_dir(), new_key_pair(make), self._keys.public)

    def connection(self, now: float) -> Connection | None:
        """The connection, or None while the child has not said where it listens.

        Args:
            now: Monotonic seconds.

        Raises:
            MienError: VERSION_MISMATCH, BACKEND_DIED, or what the child said went wrong.
        """
        if self._link is None and self._process is not None:
            if address := self._process.address():
                self._link = Connection(address.endpoint, address.public_key, self._keys, child=True)
            elif now - self._started > LAUNCH_SECONDS:
                message = "The backend does not start."
                raise MienError(ErrorCode.BACKEND_DIED, message, "Look into the log, then restart it.")
        return self._link

    def check(self) -> None:
        """Raise why the backend is gone, if it is.

        Raises:
            MienError: BACKEND_DIED, SETUP_FAILED, UNAUTHORISED, VERSION_MISMATCH, or the child's own error.
        """
        if self._process and (death := self._process.death()):
            raise death
        if self._link and self._link.failure:
            raise self._link.failure

    def close(self, timeout: float) -> None:
        """Close the connection and end the child, by force after `timeout` seconds."""
        if self._link:
            self._link.close()
        if self._process:
            self._process.close(timeout)

    @property
    def pid(self) -> int | None:
        """The child's process id; None for a remote backend."""
        return self._process.pid if self._process else None


def _command(settings: ClientSettings) -> ChildCommand:
    record = settings.record or read_backend_record()
    if record is None:
        message = "The backend is not installed."
        raise MienError(ErrorCode.SETUP_FAILED, message, "Install it in the add-on's preferences.")
    arguments = [record.python, "-m", "backend.cli", "serve", "--device", settings.device]
    if settings.threads is not None:
        arguments += ["--threads", str(settings.threads)]
    return ChildCommand(arguments, record.root)
