# SPDX-License-Identifier: GPL-3.0-or-later
"""The state that a run is resumed from: kept now and then, and when the user stops the run."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Checkpoint, EarlyStopping

from blender_addon.contract.errors import ErrorCode, MienError

_PATIENCE = 20.0
"""Seconds that other processes of a run get to end in."""


class KeptState(Checkpoint):
    """Keeps the last state of a run, and stops at the end of a step when asked to by Ctrl-C or a kill.

    All processes of a run stop after the same step: one that left earlier would let the others wait for it in vain.
    A second Ctrl-C stops at once. As with lightning's own checkpoints, other callbacks come first, so that a state
    knows which loss was the best one so far.

    Args:
        path: where.
        every: steps between states, beside those after each epoch; 0 for those alone.
    """

    def __init__(self, path: Path, every: int) -> None:
        super().__init__()
        self._path, self._every = path, every
        self._asked = self._stopping = self._trained = False

    @property
    def trained(self) -> bool:
        """Whether the run made a step since it was begun, or begun again."""
        return self._trained

    @property
    def asked(self) -> bool:
        """Whether the user wants the run to stop."""
        return self._asked

    def on_train_start(self, trainer: lightning.Trainer, stage: lightning.LightningModule) -> None:
        """Take signals over from lightning, whose own handlers can make processes wait for each other for ever; it
        puts back those from before at the end."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, self._ask)

    def on_train_batch_end(
        self, trainer: lightning.Trainer, stage: lightning.LightningModule, outputs: object, batch: object, index: int
    ) -> None:
        self._trained = True
        self._stop_if_asked(trainer)
        if self._every and trainer.global_step % self._every == 0:
            self._keep(trainer)

    def on_validation_batch_end(
        self, trainer: lightning.Trainer, stage: lightning.LightningModule, outputs: object, batch: object, index: int,
        loader: int = 0,
    ) -> None:  # fmt: skip
        self._stop_if_asked(trainer)

    def on_train_epoch_end(self, trainer: lightning.Trainer, stage: lightning.LightningModule) -> None:
        self._keep(trainer)

    def on_exception(
        self, trainer: lightning.Trainer, stage: lightning.LightningModule, exception: BaseException
    ) -> None:
        # Keeping waits for the other processes, so they must have agreed to it.
        alone = trainer.world_size == 1 and (self._asked or isinstance(exception, KeyboardInterrupt))
        if (self._stopping or alone) and trainer.global_step:
            self._keep(trainer)
        if self._stopping:
            _part(trainer)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self._asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._asked = True

    def _stop_if_asked(self, trainer: lightning.Trainer) -> None:
        if trainer.strategy.reduce_boolean_decision(self._asked, all=False):
            self._stopping = True
            raise KeyboardInterrupt

    def _keep(self, trainer: lightning.Trainer) -> None:
        """Keep the state, unless nobody could go on from it.

        Raises:
            MienError: USAGE where the weights are no numbers any more.
        """
        if not trainer.strategy.reduce_boolean_decision(_is_finite(trainer.lightning_module), all=True):
            message = f"At step {trainer.global_step} the weights are no numbers any more."
            known = f"{self._path} holds the state before; " if self._path.exists() else ""
            remedy = f"{known}give trainer.clip or trainer.precision=32-true, or begin with a smaller learning rate."
            raise MienError(ErrorCode.USAGE, message, remedy)
        trainer.save_checkpoint(self._path, weights_only=False)


class Patience(EarlyStopping):
    """Ends a run after so many validations without a better loss.

    One that has ended so ends at once when it is begun again, unless it has more patience then.
    """

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """What was seen so far; how much patience there is may have changed."""
        super().load_state_dict(state_dict | {"patience": self.patience})

    def on_train_start(self, trainer: lightning.Trainer, stage: lightning.LightningModule) -> None:
        trainer.should_stop = trainer.should_stop or self.wait_count >= self.patience


def _is_finite(stage: lightning.LightningModule) -> bool:
    sums = [parameter.detach().sum() for parameter in stage.parameters() if parameter.requires_grad]
    return bool(torch.stack(sums).isfinite().all())


def _part(trainer: lightning.Trainer) -> None:
    """Let the processes that this one began end by themselves. Lightning would kill them, and its watch over them could
    take that for a failure and kill this process as well, before it has told what it kept."""
    begun = getattr(trainer.strategy.launcher, "procs", [])
    ending = [*begun]
    begun.clear()  # of which the watch looks at the same list
    for process in ending:
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()


@contextmanager
def stoppable(kept: KeptState | None = None) -> Iterator[None]:
    """A run that the user stops ends in KeyboardInterrupt, also where lightning makes a silent exit of it, or where the
    processes that make batches heard of it first and are gone; and takes a further one."""
    handler = signal.getsignal(signal.SIGINT)
    _ignore_profiling()
    try:
        yield
    except (SystemExit, RuntimeError) as stopped:
        if isinstance(stopped, RuntimeError) and not (kept and kept.asked):
            raise
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, handler)
        raise KeyboardInterrupt from stopped


def _ignore_profiling() -> None:
    """MediaPipe's library catches SIGPROF behind Python's back. Lightning puts back at its end what Python knows of, by
    which that signal would end the process at the next look for faces."""
    if hasattr(signal, "SIGPROF") and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGPROF, signal.SIG_IGN)
