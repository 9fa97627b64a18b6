# SPDX-License-Identifier: GPL-3.0-or-later
"""The capture chain as the service uses it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from backend.server.capturing import Captured, Capturer, JobProgress
from blender_addon.contract.head import HeadDescription
from blender_addon.contract.messages import Models
from blender_addon.contract.options import CaptureOptions, check_device
from blender_addon.contract.take import Take

if TYPE_CHECKING:
    from backend.session import Session


def loader(device: str, threads: int | None) -> Callable[[], Capturer]:
    """What makes the capturer; importing torch waits until it is called."""
    return partial(SessionCapturer, device, threads)


class SessionCapturer:
    """Captures with one session for each device that is asked for.

    Args:
        device: Device where a job does not name one.
        threads: CPU threads; None for all cores.

    Raises:
        MienError: USAGE for a device that is none or is not there.
    """

    def __init__(self, device: str, threads: int | None) -> None:
        from backend.device import device_label

        self._device = check_device(device)
        self._threads = threads
        self._sessions: dict[str, Session] = {}
        self._used_heads: dict[str, HeadDescription] = {}
        self.device = device_label(self._session(device).device)

    def _session(self, device: str) -> Session:
        from backend.session import Session

        if device not in self._sessions:
            self._sessions[device] = Session(device=device, threads=self._threads)
        return self._sessions[device]

    def models(self) -> Models:
        """All engines and heads, ready or not, as they are now."""
        from backend.weights.readiness import models

        return models()

    def head(self, name: str) -> HeadDescription:
        """A head by id, or by the hash of one that a capture used."""
        return self._used_heads.get(name) or self._session(self._device).head(name)

    def capture(self, options: CaptureOptions, progress: JobProgress) -> Captured:
        """Capture a photo or a clip, or follow a camera."""
        from backend.media.backdrop import shown_by_blender, write_backdrop
        from backend.pipeline import capture, draw_overlay

        session = self._session(self._device if options.device == "auto" else options.device)
        result = capture(session, options, progress)
        head = session.head(options.head)
        self._used_heads[head.sha256] = head
        maps = _maps(session, options, result.takes, progress)
        if result.picture is None:
            return Captured(result.takes, result.report, maps=maps)
        still = not result.of_clip and not shown_by_blender(Path(options.source))
        sheet = result.contact_sheet
        return Captured(
            result.takes,
            result.report,
            overlay=partial(draw_overlay, session, result),
            backdrop=partial(write_backdrop, result.picture) if still else None,
            overlay_bytes=result.picture.pixels.nbytes,
            contact_sheet=None if sheet is None else partial(_write_sheet, sheet),
            maps=maps,
        )


def _maps(
    session: Session, options: CaptureOptions, takes: Sequence[Take], progress: JobProgress
) -> Callable[[Take, Path], Take] | None:
    """What writes the displacement maps of takes that have some."""
    from backend.detail.capture import wrinkles_of

    wrinkles = wrinkles_of(session, options, takes) if takes else None
    if wrinkles is None:
        return None
    from backend.detail.map_files import write_maps

    return lambda take, folder: write_maps(wrinkles, take, options.displacement, folder, progress)


def _write_sheet(sheet: np.ndarray, folder: Path) -> Path:
    from backend.outputs import write_png

    path = folder / "people.png"
    write_png(path, sheet)
    return path
