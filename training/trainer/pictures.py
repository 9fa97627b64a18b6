# SPDX-License-Identifier: GPL-3.0-or-later
"""Grids of pictures in TensorBoard: what the stage sees and what it makes of it."""

from __future__ import annotations

import lightning
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor

from training.stages.stage import Batch, Stage, flat

_COLUMNS = 6


def grid(rows: dict[str, Tensor]) -> Tensor:
    """One picture (3, R*H, C*W) of rows (B, 3, H, W), at most six columns."""
    lines = []
    for pictures in rows.values():
        shown = pictures[:_COLUMNS].detach().float().cpu().clamp(0, 1)
        lines.append(torch.cat(list(shown.expand(-1, 3, -1, -1)), 2))
    return torch.cat(lines, 1)


class PictureGrids(lightning.Callback):
    """Writes a grid of the first batch every so many steps, and at each validation.

    Args:
        every: training steps between grids; 0 for those of validations alone.
    """

    def __init__(self, every: int) -> None:
        self._every = every

    def on_train_batch_end(
        self, trainer: lightning.Trainer, stage: Stage, outputs: object, batch: Batch, index: int
    ) -> None:
        if self._every and trainer.global_step % self._every == 0:
            self._write(trainer, stage, batch, "train")

    def on_validation_batch_end(
        self, trainer: lightning.Trainer, stage: Stage, outputs: object, batch: Batch, index: int, loader: int = 0
    ) -> None:
        if index == 0:
            self._write(trainer, stage, batch, "validation")

    @staticmethod
    def _write(trainer: lightning.Trainer, stage: Stage, batch: Batch, part: str) -> None:
        if not isinstance(trainer.logger, TensorBoardLogger) or not trainer.is_global_zero:
            return
        training = stage.training
        stage.eval()  # batch norms learn nothing from what people look at
        rows = stage.pictures({name: values[:_COLUMNS] for name, values in flat(batch).items()})
        stage.train(training)
        if rows:
            name = f"{part} ({', '.join(rows)})"
            trainer.logger.experiment.add_image(name, grid(rows), trainer.global_step)
