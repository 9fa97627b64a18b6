# SPDX-License-Identifier: GPL-3.0-or-later
"""`mien serve`: the service as a child process of Blender, or on its own for other machines."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

import zmq

from backend.server.access import KeysFile, OneClient, check_keys
from backend.server.capturing import Capturer
from backend.server.log import start_log
from backend.server.loop import Loop, check_address
from backend.server.service import Service, ServiceSettings
from blender_addon.contract.errors import EXIT_CODES, ErrorCode, MienError
from blender_addon.contract.keys import KeyPair, kept_key_pair
from blender_addon.contract.places import data_dir, jobs_dir, logs_dir
from blender_addon.contract.version import PROTOCOL, VERSION

CHILD_ADDRESS = "tcp://127.0.0.1:*"
REMOTE_ADDRESS = "tcp://0.0.0.0:47650"
_SWITCH_SECONDS = 0.0005
"""How long the worker's Python code may keep the thread that serves sockets waiting, ten times less than usual."""
_LAST_GRACE = 1.5
"""Seconds after the end of the parent within which this process ends, whatever a job or a library does."""

_log = logging.getLogger("mien.serve")


@dataclass(frozen=True)
class _Access:
    keys: KeyPair
    admit: Callable[[str], bool]
    parent: BinaryIO | None = None  # ends with the parent process


def serve(bind: str | None, remote: bool, device: str, threads: int | None) -> int:
    """Serve captures until the end.

    Prints one JSON line to the standard output: `{port, endpoint, public_key, protocol, version, pid}` once it listens,
    or `{error: {code, message, remedy}}`.

    Args:
        bind: Address `tcp://HOST:PORT`; None for a free port of 127.0.0.1, or port 47650 of all interfaces when remote.
        remote: Serve other machines with kept keys. Otherwise this is a child of Blender: the keys come as one JSON
            line `{server_public, server_secret, client_public}` on the standard input, whose end ends the service.
        device: auto, cpu, cuda, cuda:N or mps.
        threads: Threads for computing; None for all cores.

    Returns:
        Exit status.
    """
    from backend.server.session_capturer import loader

    return serve_with(loader(device, threads), bind, remote)


def serve_with(load: Callable[[], Capturer], bind: str | None = None, remote: bool = False) -> int:
    """`serve` with any capturer, which `load` makes in the worker's thread."""
    try:
        log_file = start_log(logs_dir())
        access = _remote_access() if remote else _child_access()
        address = check_address(bind or (REMOTE_ADDRESS if remote else CHILD_ADDRESS))
        loop = Loop(address, access.keys, access.admit, log_file)
    except MienError as error:
        _say({"error": {"code": error.code, "message": error.message, "remedy": error.remedy}})
        sys.stderr.write(f"mien: {error}\n")
        return error.exit_code
    settings = ServiceSettings(jobs_dir(), data_dir() / "uploads", log_file, remote)
    service = Service(settings, load, loop.waker.wake)
    sys.setswitchinterval(_SWITCH_SECONDS)
    _end_when_told(loop, access.parent)
    service.start()
    _say(
        {
            "port": loop.port,
            "endpoint": loop.endpoint,
            "public_key": access.keys.public,
            "protocol": PROTOCOL,
            "version": VERSION,
            "pid": os.getpid(),
        }
    )
    _log.info("Mien %s listens on %s", VERSION, loop.endpoint)
    status = _run(loop, service)
    _leave(status)


def _run(loop: Loop, service: Service) -> int:
    try:
        loop.run(service)
    except KeyboardInterrupt:
        pass  # the usual way to end a remote backend at its terminal
    except Exception:  # noqa: BLE001  # the last line of defence: the cause must be in the log before the process ends
        _log.exception("the service failed")
        return EXIT_CODES[ErrorCode.INTERNAL]
    loop.close()
    return 0


def _leave(status: int) -> None:
    """End at once: a normal end would wait for the worker's thread, which may compute for minutes."""
    _log.info("ends with status %d", status)
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _say(line: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def _child_access() -> _Access:
    if sys.stdin is None or sys.stdin.isatty():
        message = "'mien serve' is started by Blender, which hands over keys."
        raise MienError(ErrorCode.USAGE, message, "To serve another machine, use 'mien serve --remote'.")
    parent = _taken_stdin()
    try:
        fields = json.loads(parent.readline(4096))
    except ValueError:
        fields = None
    keys, client = check_keys(fields)
    return _Access(keys, OneClient(client), parent)


def _taken_stdin() -> BinaryIO:
    """The standard input, for this module alone.

    Neither programs that a job starts (pip) shall read from it, nor libraries look at it: on Windows they would wait
    for the thread that reads it.
    """
    parent = open(os.dup(0), "rb")  # noqa: SIM115  # open until the process ends
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return parent


def _remote_access() -> _Access:
    folder = data_dir() / "keys"
    keys = kept_key_pair(folder / "server.json", zmq.curve_keypair)
    clients = folder / "clients.txt"
    sys.stderr.write(
        f"Public key of this backend: {keys.public}\n"
        "Enter it, with this machine's address, in the add-on's preferences in Blender.\n"
        f"Blender shows its own public key there: add that as a line to {clients} to let it in.\n"
    )
    return _Access(keys, KeysFile(clients))


def _end_when_told(loop: Loop, parent: BinaryIO | None) -> None:
    """End with the parent process, or, where there is none, by the usual signals."""

    def stop() -> None:
        loop.stopping = True
        loop.waker.wake()

    if parent is None:
        loop.waker.wake_at_signals()
        signal.signal(signal.SIGTERM, lambda *_: stop())
        return
    # Ctrl-C at the terminal that Blender was started from is for Blender, whose end closes the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_watch_parent, args=(parent, stop), name="parent", daemon=True).start()


def _watch_parent(parent: BinaryIO, stop: Callable[[], None]) -> None:
    try:
        while parent.read1(4096):  # type: ignore[attr-defined]
            pass
    except OSError:
        pass  # a broken pipe is an end, too
    stop()
    time.sleep(_LAST_GRACE)
    os._exit(0)
