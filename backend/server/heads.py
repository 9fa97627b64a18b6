# SPDX-License-Identifier: GPL-3.0-or-later
"""The heads that clients ask for: those that takes use, and those of the store, which a thread loads."""

from __future__ import annotations

import threading
from collections.abc import Callable, MutableMapping
from concurrent.futures import Future

from backend.server.capturing import Capturer
from blender_addon.contract import messages as m
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.head import HeadDescription


class Heads:
    """Answers `GetHead`. A head of the store is sent as it is there now, with whatever came to it since it was loaded.

    Args:
        known: The heads that are loaded, by hash.
        changed: Called in another thread when one was loaded.
    """

    def __init__(self, known: MutableMapping[str, HeadDescription], changed: Callable[[], None]) -> None:
        self._known = known
        self._changed = changed
        self._loading: dict[str, Future[HeadDescription]] = {}

    def answer(self, sha256: str, capturer: Capturer | None, waited: bool) -> m.Head | None:
        """The head with a hash; None to hold the answer back.

        Args:
            sha256: Its hash.
            capturer: Knows the store; None where there is none (yet).
            waited: Answer now, with or without the head.

        Raises:
            MienError: WRONG_HEAD where there is no such head; what loading it raises.
        """
        loading = self._loading.get(sha256)
        if loading is None:
            revision = _revision(sha256, capturer)
            head = self._known.get(sha256)
            if head is not None and revision in (None, head.revision):
                return m.Head(head)
            if capturer is None or revision is None:
                raise _unknown(sha256)
            loading = self._load(sha256, capturer)
        if not loading.done():
            return m.Head(None) if waited else None
        del self._loading[sha256]
        return m.Head(loading.result())

    def _load(self, sha256: str, capturer: Capturer) -> Future[HeadDescription]:
        loading: Future[HeadDescription] = Future()
        self._loading[sha256] = loading
        # A daemon: it must not keep a backend from ending.
        threading.Thread(target=self._run, args=(sha256, capturer, loading), name="mien-head", daemon=True).start()
        return loading

    def _run(self, sha256: str, capturer: Capturer, loading: Future[HeadDescription]) -> None:
        try:
            head = capturer.stored_head(sha256)
            self._known[sha256] = head
            loading.set_result(head)
        except Exception as error:  # noqa: BLE001  # whatever it is goes to who asked
            loading.set_exception(error)
        self._changed()


def _revision(sha256: str, capturer: Capturer | None) -> str | None:
    """Revision of a head as the store has it now; None where it has no such head."""
    heads = capturer.models().heads if capturer is not None else ()
    return next((item.revision for item in heads if item.ready and item.sha256 == sha256), None)


def _unknown(sha256: str) -> MienError:
    message = f"The backend has no head with the hash {sha256[:8]}."
    remedy = "Add the head's file to the backend, or convert the take to a head that it has with 'mien convert'."
    return MienError(ErrorCode.WRONG_HEAD, message, remedy)
