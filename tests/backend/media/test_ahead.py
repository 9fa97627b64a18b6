# SPDX-License-Identifier: GPL-3.0-or-later
"""Items are made ahead, never too many, and no thread is left behind."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.media.ahead import ahead
from backend.media.clip import open_clip
from blender_addon.contract.errors import ErrorCode, MienError
from tests.backend.media.films import film, number_in

PATIENCE = 20.0


class Source:
    """Counts what was taken from it and who closed it."""

    def __init__(self, count: int = 10**9) -> None:
        self.count = count
        self.made = 0
        self.full = threading.Semaphore(0)
        self.closed_by: threading.Thread | None = None

    def items(self) -> Iterator[int]:
        try:
            for number in range(self.count):
                self.made += 1
                self.full.release()
                yield number
        finally:
            self.closed_by = threading.current_thread()


def running() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "mien-ahead"]


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    yield
    assert not running()


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers()), st.integers(1, 8))
def test_same_items_in_the_same_order(items: list[int], depth: int) -> None:
    assert list(ahead(items, depth)) == items


@pytest.mark.parametrize("depth", [1, 3, 6])
def test_never_too_far_ahead(depth: int) -> None:
    source = Source()
    with ahead(source.items(), depth) as items:
        for taken in range(1, 20):
            while source.made < taken - 1 + depth:
                assert source.full.acquire(timeout=PATIENCE)
            assert source.made <= taken - 1 + depth
            assert next(items) == taken - 1


def test_an_error_keeps_its_type_and_comes_after_the_items() -> None:
    error = MienError(ErrorCode.BAD_CLIP, "It is broken.", "Mend it.")

    def broken() -> Iterator[int]:
        yield 1
        yield 2
        raise error

    items = ahead(broken())
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(MienError) as caught:
        next(items)
    assert caught.value is error
    with pytest.raises(StopIteration):
        next(items)


def test_closed_while_the_producer_waits_for_room() -> None:
    source = Source()
    items = ahead(source.items(), 2)
    for _ in range(2):
        assert source.full.acquire(timeout=PATIENCE)
    thread = running()[0]
    items.close()
    items.close()
    assert not thread.is_alive()
    assert source.closed_by is thread
    with pytest.raises(StopIteration):
        next(items)


def test_closed_while_the_consumer_waits() -> None:
    gate, waiting = threading.Event(), threading.Event()

    def slow() -> Iterator[int]:
        waiting.set()
        gate.wait(PATIENCE)
        yield 1

    items = ahead(slow())
    found: list[object] = []
    consumer = threading.Thread(target=lambda: found.append(next(items, "ended")))
    consumer.start()
    assert waiting.wait(PATIENCE)
    closer = threading.Thread(target=items.close)
    closer.start()
    consumer.join(PATIENCE)
    assert found == ["ended"]
    gate.set()
    closer.join(PATIENCE)
    assert not closer.is_alive()


def test_forgotten() -> None:
    source = Source()
    items = ahead(source.items(), 2)
    assert next(items) == 0
    del items
    gc.collect()
    assert not running()
    assert source.closed_by is not None


def test_an_error_in_the_consumer_ends_it() -> None:
    source = Source()
    with pytest.raises(KeyError), ahead(source.items()) as items:
        next(items)
        raise KeyError
    assert source.closed_by is not None


def test_python_ends_with_one_open(repository: Path) -> None:
    code = "import itertools; from backend.media.ahead import ahead; a = ahead(itertools.count()); print(next(a))"
    done = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "0", "")


def test_depth_must_be_positive() -> None:
    with pytest.raises(ValueError):
        ahead([1], 0)


def test_a_clip_ahead(tmp_path: Path) -> None:
    with open_clip(film(tmp_path / "a.mp4", 60)) as clip:
        with ahead(clip.frames(), 3) as frames:
            assert [number_in(frame.pixels) for frame in frames] == list(range(60))
        with ahead(clip.frames(10), 3) as frames:
            assert next(frames).index == 10
