# SPDX-License-Identifier: GPL-3.0-or-later
"""Batches of a run."""

from __future__ import annotations

import signal
import sys

import lightning
import torch
from torch.utils.data import DataLoader

from backend.device import available_cores
from training.datasets.choice import augmented_dataset, dataset
from training.datasets.faces import Faces, set_epoch
from training.datasets.report import reports
from training.datasets.sampling import EpochSampler, in_order, sampler
from training.trainer.configuration import Configuration
from training.trainer.filling import wrong


class RunData(lightning.LightningDataModule):
    """Batches to train on, and to look at between.

    Args:
        configuration: of the run.

    Raises:
        MienError: USAGE for data without pictures; what making the datasets raises.
    """

    def __init__(self, configuration: Configuration) -> None:
        super().__init__()
        self._configuration = configuration
        data = configuration.data
        self.trained = augmented_dataset(dataset(data.train), data.augmentation, configuration.seed)
        self.looked_at = dataset(data.validation)
        for part, items in (("train", self.trained), ("validation", self.looked_at)):
            if not len(items):
                raise wrong(f"data.{part}", "gives no pictures", "Choose data that has some.")
        self._told: set[str] = set()
        self._reached = (0, 0)

    def setup(self, stage: str) -> None:
        """Say what the datasets lack, which is the same in all processes."""
        self._tell(aloud=self.trainer is None or self.trainer.is_global_zero)

    def teardown(self, stage: str) -> None:
        """Say what was found damaged meanwhile: each process what it read itself."""
        self._tell()

    def train_dataloader(self) -> DataLoader:
        """In a new order each epoch, drawn from the seed; a last batch that is not full is left out.

        A run that goes on begins with the first batch that it had not trained on.
        """
        order = sampler(self.trained, self._configuration.seed, balanced=self._configuration.data.balanced)
        epoch, batches = self._reached
        order.go_on(epoch, batches * self._configuration.trainer.batch)
        set_epoch(self.trained, epoch)  # lightning does not tell an epoch that goes on
        return self._loader(self.trained, order, self._free_cores(), drop_last=True)

    def val_dataloader(self) -> DataLoader:
        """In order."""
        return self._loader(self.looked_at, in_order(self.looked_at), -(-self._free_cores() // 4), drop_last=False)

    def state_dict(self) -> dict[str, int]:
        """Where a run that is resumed goes on: the epoch, and how many of its batches were trained on."""
        loop = self.trainer.fit_loop
        epoch, batches = loop.epoch_progress.current, loop.epoch_loop.batch_progress.current.processed
        between = epoch.ready == epoch.processed
        if not between and batches >= loop.max_batches:
            return {"epoch": epoch.processed + 1, "batches": 0}
        return {"epoch": epoch.processed, "batches": 0 if between else batches}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on there."""
        self._reached = state["epoch"], state["batches"]

    def _tell(self, aloud: bool = True) -> None:
        """What is to be told of the datasets and was not yet; not `aloud` where another process says the same."""
        for report in map(str, reports(self.trained) + reports(self.looked_at)):
            if report not in self._told:
                self._told.add(report)
                if aloud:
                    sys.stderr.write(f"{report}\n")

    def _free_cores(self) -> int:
        """How many cores are left for each of the processes that train on this machine, beside its own."""
        processes = 1 if self.trainer is None else self.trainer.num_devices
        return max(available_cores() // processes - 1, 0)

    def _loader(self, items: Faces, sampler: EpochSampler, free: int, *, drop_last: bool) -> DataLoader:
        how = self._configuration.trainer
        workers = how.workers if how.workers >= 0 else free
        return DataLoader(
            items, how.batch, sampler=sampler, num_workers=workers, drop_last=drop_last and len(sampler) >= how.batch,
            persistent_workers=workers > 0, pin_memory=torch.cuda.is_available(),
            multiprocessing_context="spawn" if workers else None, worker_init_fn=_begin_worker,
        )  # fmt: skip


def _begin_worker(_: int) -> None:
    """Each process of batches keeps to one core, and leaves Ctrl-C to the one that trains, which ends it."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class Epochs(lightning.Callback):
    """Tells the pictures which epoch it is, so that rings and augmentation are drawn anew."""

    def on_train_epoch_start(self, trainer: lightning.Trainer, stage: lightning.LightningModule) -> None:
        set_epoch(trainer.datamodule.trained, trainer.current_epoch)
