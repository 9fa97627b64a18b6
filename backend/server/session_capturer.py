# SPDX-License-Identifier: GPL-3.0-or-later
"""The capture chain as the service uses it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from backend.progress import Progress
from backend.server.capturing import Captured, Capturer, JobProgress
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.head import HeadDescription
from blender_addon.contract.messages import Models
from blender_addon.contract.options import CaptureOptions, check_device
from blender_addon.contract.take import Take

if TYPE_CHECKING:
    from backend.progress import Progress
    from backend.session import Session
    from backend.weights.adding import Outcome


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
        from backend.weights.adding_folder import clear_leftovers

        clear_leftovers()
        self._device = check_device(device)
        self._threads = threads
        self._sessions: dict[str, Session] = {}
        self._used_heads: dict[str, HeadDescription] = {}
        self._store = _store_state()
        self.device = device_label(self._session(device).device)

    def _session(self, device: str) -> Session:
        from backend.session import Session

        if device not in self._sessions:
            self._sessions[device] = Session(device=device, threads=self._threads)
        return self._sessions[device]

    def _forget_old_models(self) -> None:
        """Load everything anew when files were added or removed since, also by other processes."""
        present = _store_state()
        if present != self._store:
            self._store = present
            for session in self._sessions.values():
                session.close()
            self._sessions.clear()

    def models(self) -> Models:
        """All engines and heads, ready or not, as they are now."""
        from backend.weights.readiness import models

        return models()

    def add_models(self, paths: Sequence[Path], progress: Progress) -> tuple[str, ...]:
        """Take files over into the store."""
        from backend.weights.adding import add

        return sentences_of(add(paths, progress=progress))

    def stored_head(self, sha256: str) -> HeadDescription:
        """A head of the store, read anew."""
        from backend.heads import load_head

        return load_head(sha256)

    def head(self, name: str) -> HeadDescription:
        """A head by id, or by the hash of one that a capture used."""
        return self._used_heads.get(name) or self._session(self._device).head(name)

    def capture(self, options: CaptureOptions, progress: JobProgress) -> Captured:
        """Capture a photo or a clip, or follow a camera."""
        from backend.media.backdrop import shown_by_blender, write_backdrop
        from backend.pipeline import capture, draw_overlay

        self._forget_old_models()
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


def sentences_of(outcome: Outcome) -> tuple[str, ...]:
    """What became of files that were to be added, in a sentence each; what went wrong comes last.

    Raises:
        MienError: Where nothing was added: the first reason.
    """
    from backend.weights.ledger import title

    if not outcome.added:
        raise outcome.problems[0] if outcome.problems else _nothing_known(outcome.unknown)
    told = []
    for item in outcome.added:
        what = "was there already" if item.before else f"was added from {item.file}"
        told += [f"{title(item.part.kind, item.part.name)} {what}.", *item.notes]
    return (*told, *outcome.warnings, *map(str, outcome.problems))


def _nothing_known(files: Sequence[str]) -> MienError:
    what = "1 file holds" if len(files) == 1 else f"{len(files)} files hold"
    message = f"{what} nothing that Mien uses." if files else "There are no files there."
    remedy = "Choose what you downloaded, as it is: archives, folders or single files."
    return MienError(ErrorCode.MISSING_FILE, message, remedy)


def _store_state() -> tuple[tuple[str, int], ...]:
    """What lies in the store: names and times of its files."""
    from backend.weights.parts import SUFFIX, parts_dir

    try:
        files = [path for path in parts_dir().iterdir() if path.suffix == SUFFIX]
        return tuple(sorted((path.name, path.stat().st_mtime_ns) for path in files))
    except FileNotFoundError:  # nothing was added yet, or a file went this moment
        return ()
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
