# SPDX-License-Identifier: GPL-3.0-or-later
"""The session as the timer drives it, with a made-up backend in another process."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

PATIENCE = 60.0


class Panel:
    """The session, pumped as the timer does it."""

    def __init__(self, mien: Any) -> None:
        self._mien = mien

    @property
    def session(self) -> Any:
        """The one session."""
        return self._mien("ui.session").present_session()

    @property
    def progress(self) -> Any:
        """The last news of the first capture."""
        return next((capture.progress for capture in self.session.present), None)

    def until(self, wanted: Any) -> None:
        """Tick until something is so."""
        end = time.monotonic() + PATIENCE
        while not wanted():
            assert time.monotonic() < end, f"waited in vain: {self.session.phrase}, {self.session.error}"
            self.session.pump()
            time.sleep(0.005)

    def finish(self) -> None:
        """Tick until the capture is over."""
        self.until(lambda: not self.session.running)


def driven_panel(mien: Any, command: Sequence[str], repository: Path, heads: Path) -> Iterator[Panel]:
    """A fresh session whose backend is a command; it ends with the test.

    Args:
        mien: Imports modules of the add-on.
        command: The backend.
        repository: Where it runs.
        heads: Cache of heads.
    """
    import bpy

    module = mien("ui.session")
    module.end_session()
    mien("ui.settings").preferences().use_remote = False
    child = mien("client.process").ChildCommand(list(command), str(repository))
    settings = mien("client.launch").ClientSettings(heads, command=child)
    module.session()._client = mien("client.jobs").Client(settings)
    bpy.context.scene.render.fps = 24
    yield Panel(mien)
    module.end_session()
