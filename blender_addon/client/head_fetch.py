# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetching the heads that takes need, each once."""

from __future__ import annotations

from collections.abc import Callable

from ..contract.errors import MienError
from ..contract.messages import GetHead, Head, Reply
from .events import Event, HeadReady
from .heads import HeadCache
from .questions import Questions


class HeadFetch:
    """Brings heads into the cache.

    Args:
        cache: Where they are kept.
        questions: How they are asked for.
        tell: Called with each HeadReady.
        failed: Called with the hash of a head that did not come, and why.
    """

    def __init__(
        self,
        cache: HeadCache,
        questions: Questions,
        tell: Callable[[Event], None],
        failed: Callable[[str, MienError], None],
    ) -> None:
        self._cache = cache
        self._questions = questions
        self._tell = tell
        self._failed = failed
        self._asked: set[str] = set()

    def want(self, sha256: str) -> bool:
        """Whether the head is in the cache; if not, it is asked for."""
        if sha256 not in self._asked:
            if self._cache.has(sha256):
                return True
            self._asked.add(sha256)
            self._ask(sha256)
        return False

    def _ask(self, sha256: str) -> None:
        self._questions.ask(GetHead(sha256), lambda reply: self._on_head(sha256, reply))

    def _on_head(self, sha256: str, reply: Reply | MienError) -> None:
        if isinstance(reply, Head) and reply.head is None:
            self._ask(sha256)  # it is being loaded
            return
        if isinstance(reply, Head) and reply.head.sha256 == sha256:
            self._cache.put(reply.head)
            return
        self._asked.discard(sha256)
        if isinstance(reply, MienError):
            self._failed(sha256, reply)

    def collect(self) -> None:
        """Take over heads whose saving ended."""
        for sha256, error in self._cache.saved():
            self._asked.discard(sha256)
            if error is None:
                self._tell(HeadReady(sha256, self._cache.path(sha256)))
            else:
                self._failed(sha256, error)

    def reset(self) -> None:
        """The connection is gone: what has not come is asked for again when it is wanted."""
        self._asked.clear()
