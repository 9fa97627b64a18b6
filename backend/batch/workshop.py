# SPDX-License-Identifier: GPL-3.0-or-later
"""What a process keeps loaded between shots."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backend.progress import Progress

if TYPE_CHECKING:
    from backend.blender import BlenderProgram
    from backend.session import Session


class Workshop:
    """The loaded models of each device, and the Blender that writes scenes.

    Args:
        threads: CPU threads; None for a capture's usual ones.
        blender: Which Blender, if somebody said.
    """

    def __init__(self, threads: int | None = None, blender: str | None = None) -> None:
        self.threads = threads
        self._asked = blender
        self._sessions: dict[str, Session] = {}
        self._blender: BlenderProgram | None = None

    def session(self, device: str) -> Session:
        """The session of a device, made at first use."""
        from backend.session import Session

        if device not in self._sessions:
            self._sessions[device] = Session(device, self.threads)
        return self._sessions[device]

    def blender(self, progress: Progress) -> BlenderProgram:
        """The Blender that writes scenes, looked for at first use."""
        from backend.blender import prepare_blender

        if self._blender is None:
            self._blender = prepare_blender(self._asked, progress)
        return self._blender

    def close(self) -> None:
        """Release the models."""
        for session in self._sessions.values():
            session.close()
        self._sessions.clear()
