# SPDX-License-Identifier: GPL-3.0-or-later
"""Drives a `Client` as Blender's timer would, and waits for what the tests ask for."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from blender_addon.client.events import Event
from blender_addon.client.jobs import Client
from blender_addon.client.launch import ClientSettings, RemoteBackend
from blender_addon.client.process import ChildCommand
from blender_addon.contract.options import CaptureOptions

ROOT = Path(__file__).resolve().parents[1]
FAKE_BACKEND = ROOT / "tests" / "backend" / "server" / "fake_backend.py"
PATIENCE = 30.0


def fake_command(*arguments: str) -> ChildCommand:
    """Starts the service with a fake capture."""
    return ChildCommand([sys.executable, str(FAKE_BACKEND), *arguments], str(ROOT))


def source(folder: Path, options: Mapping[str, object] = MappingProxyType({}), **todo: object) -> CaptureOptions:
    """Options whose source tells the fake capture what to do."""
    path = folder / f"source-{len(list(folder.glob('source-*')))}.json"
    path.write_text(json.dumps(todo))
    return CaptureOptions(str(path), **options)


class Driver:
    """A client, what it reported and nobody looked at yet (`events`), and what was looked at (`seen`)."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.events: list[Event] = []
        self.seen: list[Event] = []

    def pump(self) -> None:
        """One tick of the timer."""
        self.events += self.client.pump(time.monotonic())

    def until(self, wanted: Callable[[Event], bool], patience: float = PATIENCE) -> Event:
        """Pump until such an event arrives; it and those before it count as seen."""
        end = time.monotonic() + patience
        seen = []
        while True:
            while self.events:
                seen.append(self.events.pop(0))
                self.seen.append(seen[-1])
                if wanted(seen[-1]):
                    return seen[-1]
            if time.monotonic() > end:
                names = [type(event).__name__ for event in seen]
                raise AssertionError(f"waited in vain; seen: {names}; state: {self.client.message}")
            self.pump()
            time.sleep(0.002)

    def pump_until(self, done: Callable[[], bool], patience: float = PATIENCE) -> None:
        """Pump until something is so; what arrives meanwhile waits to be looked at."""
        end = time.monotonic() + patience
        while not done():
            assert time.monotonic() < end, f"waited in vain; state: {self.client.message}"
            self.pump()
            time.sleep(0.002)

    def wait_for(self, kind: type, patience: float = PATIENCE) -> Event:
        """Pump until an event of this kind arrives."""
        return self.until(lambda event: isinstance(event, kind), patience)


@contextmanager
def driving(folder: Path, remote: RemoteBackend | None = None, command: ChildCommand | None = None) -> Iterator[Driver]:
    """A client of the fake backend that is closed at the end."""
    settings = ClientSettings(folder / "heads", remote, command=None if remote else command or fake_command())
    client = Client(settings)
    try:
        yield Driver(client)
    finally:
        client.close()
