# SPDX-License-Identifier: GPL-3.0-or-later
"""Model files that clients of this machine want taken over: in a thread, one request after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path

from backend.progress import NoProgress, Progress
from blender_addon.contract import messages as m
from blender_addon.contract.errors import ErrorCode, MienError

KEEP = 4
"""So many that are done can be asked for again."""
MOST_WAITING = 16

Add = Callable[[Sequence[Path], Progress], tuple[str, ...]]
"""Takes files over and says in a sentence each what was added; see `capturing.Capturer.add_models`."""


class _Adding(NoProgress):
    """One request: how far it is, and what came of it."""

    def __init__(self, paths: tuple[str, ...]) -> None:
        self.paths = tuple(map(Path, paths))
        self.news: Future[tuple[str, ...]] = Future()
        self.state = (0.0, "")

    def __call__(self, stage: str, done: float, message: str = "") -> None:
        """Note a step."""
        self.state = (min(max(float(done), 0.0), 1.0), message or stage.replace("_", " ").capitalize())


class Adder:
    """Takes files over.

    Args:
        changed: Called in another thread when one request is done.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._turn = threading.Lock()
        self._addings: dict[str, _Adding] = {}

    def answer(self, request: m.AddModels, add: Add, waited: bool) -> m.ModelsAdded | None:
        """What became of the files, which are begun with if they were not before; None to hold the answer back.

        Args:
            request: The files.
            add: Takes them over; called in a thread.
            waited: Answer now, done or not.

        Raises:
            MienError: Why they cannot be taken over; TOO_LARGE while too many wait.
        """
        adding = self._addings.get(request.adding) or self._begin(request, add)
        if adding.news.done():
            return m.ModelsAdded(request.adding, 1.0, "", adding.news.result())
        return m.ModelsAdded(request.adding, *adding.state, None) if waited else None

    def _begin(self, request: m.AddModels, add: Add) -> _Adding:
        done = [name for name, adding in self._addings.items() if adding.news.done()]
        for name in done[: -KEEP + 1]:
            del self._addings[name]
        if len(self._addings) - min(len(done), KEEP - 1) >= MOST_WAITING:
            message = "Too many files wait at the backend."
            raise MienError(ErrorCode.TOO_LARGE, message, "Add these when the others are done.")
        adding = _Adding(request.paths)
        self._addings[request.adding] = adding
        # A daemon: it must not keep a backend from ending; parts are written whole or not at all.
        threading.Thread(target=self._run, args=(adding, add), name="mien-adding", daemon=True).start()
        return adding

    def _run(self, adding: _Adding, add: Add) -> None:
        with self._turn:
            try:
                adding.news.set_result(add(adding.paths, adding))
            except Exception as error:  # noqa: BLE001  # whatever it is goes to who asked
                adding.news.set_exception(error)
        self._changed()
