# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the time of a training step goes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Literal

import torch

Part = Literal["data", "encoder", "render", "losses", "backward", "optimiser"]


class StepClock:
    """Seconds of each part of training steps; measures only while `running`.

    Attributes:
        running: off by default: on a GPU measuring waits for each part to end, which costs time.
        seconds: by part, summed since the last `reset`.
    """

    def __init__(self) -> None:
        self.running = False
        self.seconds: dict[Part, float] = defaultdict(float)

    def reset(self) -> None:
        """Begin anew."""
        self.seconds.clear()

    @contextmanager
    def part(self, name: Part) -> Iterator[None]:
        """Count what is done inside to a part."""
        if not self.running:
            yield
            return
        _wait()
        start = perf_counter()
        try:
            yield
        finally:
            _wait()
            self.seconds[name] += perf_counter() - start


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
