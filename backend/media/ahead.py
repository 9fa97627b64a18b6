# SPDX-License-Identifier: GPL-3.0-or-later
"""Running an iterator ahead of its consumer, in a thread of its own and never further than a few items."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Generic, Self, TypeVar

Item = TypeVar("Item")


class _Belt(Generic[Item]):
    """What the two threads share; it knows nothing of `Ahead`, so that a forgotten one can be collected."""

    def __init__(self, depth: int) -> None:
        self.changed = threading.Condition()
        self.items: deque[Item] = deque()
        self.depth = depth
        self.finished = False
        self.closed = False
        self.error: BaseException | None = None

    def produce(self, source: Iterator[Item]) -> None:
        try:
            while self._has_room():
                item = next(source)
                with self.changed:
                    if not self.closed:
                        self.items.append(item)
                    self.changed.notify_all()
                del item  # or the last one would be held while the next one is made
        except StopIteration:
            pass
        except BaseException as error:  # noqa: BLE001  # whatever goes wrong here is the consumer's to see
            self.error = error
        finally:
            try:
                if (close := getattr(source, "close", None)) is not None:
                    close()
            except BaseException as error:  # noqa: BLE001  # likewise, unless something went wrong before
                self.error = self.error or error
            with self.changed:
                self.finished = True
                self.changed.notify_all()

    def _has_room(self) -> bool:
        with self.changed:
            self.changed.wait_for(lambda: self.closed or len(self.items) < self.depth)
            return not self.closed

    def close(self) -> None:
        with self.changed:
            self.closed = True
            self.items.clear()
            self.changed.notify_all()


class Ahead(Generic[Item]):
    """An iterator whose items are made in a thread of their own, at most `depth` of them before they are asked for.

    An error of the source is raised, as the object that it is, after the items that came before it. `close`, which the
    end of the context calls, ends the thread even while it waits for room, and waits for the item in the making; the
    source is closed in the thread that ran it. An iterator that is neither closed nor read to its end is closed when it
    is forgotten or Python ends. The items are for one consumer.

    Args:
        source: Iterated over in the thread only.
        depth: Items made ahead, at least 1. One more is in the making.
    """

    def __init__(self, source: Iterable[Item], depth: int = 6) -> None:
        if depth < 1:
            raise ValueError("at least one item must be made ahead")
        self._belt: _Belt[Item] = _Belt(depth)
        # A daemon, so that Python does not wait for it before the finaliser below can end it.
        self._thread = threading.Thread(
            target=self._belt.produce, args=(iter(source),), name="mien-ahead", daemon=True
        )
        self._forgotten = weakref.finalize(self, _end, self._belt, self._thread)
        self._thread.start()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Item:
        belt = self._belt
        with belt.changed:
            belt.changed.wait_for(lambda: belt.items or belt.finished or belt.closed)
            if belt.items:
                item = belt.items.popleft()
                belt.changed.notify_all()
                return item
            error, belt.error = belt.error, None
        self.close()
        if error is not None:
            raise error
        raise StopIteration

    def close(self) -> None:
        """End the thread and drop what was made ahead; calling it again does nothing."""
        self._forgotten()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def ahead(source: Iterable[Item], depth: int = 6) -> Ahead[Item]:
    """Run an iterator ahead of its consumer; see `Ahead`."""
    return Ahead(source, depth)


def _end(belt: _Belt, thread: threading.Thread) -> None:
    belt.close()
    if thread is not threading.current_thread():  # a collection can begin in the thread itself
        thread.join()
