# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures a second of a training step, and which part of it takes how long."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from backend.device import choose_device
from training.stages.making import make_stage
from training.stages.stage import Batch, laid_out
from training.trainer.configuration import Configuration
from training.trainer.data import RunData

_WARM_UP = 2


@dataclass(frozen=True)
class StepSpeed:
    """Of one stage.

    Attributes:
        pictures_per_second: of whole steps, data included.
        shares: of the time, by part: data, encoder, render, losses, backward, optimiser.
        batch: pictures of a step.
        device: where it ran.
    """

    pictures_per_second: float
    shares: dict[str, float]
    batch: int
    device: str


def _endless(data: RunData) -> Iterator[Batch]:
    while True:
        yield from data.train_dataloader()


def step_speed(configuration: Configuration, steps: int = 10, device: str = "auto") -> StepSpeed:
    """Measure some steps after two that are not counted.

    The data's part is what a step waits for it, in this process or for the processes that make it.
    """
    chosen = choose_device(device)
    stage = make_stage(configuration).to(chosen).lay_out().train()
    optimiser = stage.adam()
    clock = stage.clock
    clock.running = True
    batches = _endless(RunData(configuration))
    pictures, start = 0, time.perf_counter()
    for step in range(_WARM_UP + steps):
        if step == _WARM_UP:
            clock.reset()
            pictures, start = 0, time.perf_counter()
        with clock.part("data"):
            batch = laid_out({name: values.to(chosen) for name, values in next(batches).items()})
        loss = stage.total(stage.terms(batch))
        with clock.part("backward"):
            optimiser.zero_grad()
            loss.backward()
        with clock.part("optimiser"):
            optimiser.step()
        pictures += len(batch["image"])
    whole = time.perf_counter() - start
    shares = {name: seconds / whole for name, seconds in clock.seconds.items()}
    return StepSpeed(pictures / whole, shares, len(batch["image"]), str(chosen))
