# SPDX-License-Identifier: GPL-3.0-or-later
"""What all stages of training have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import lightning
import torch
from torch import Tensor, nn

from training.stages.clock import StepClock
from training.trainer.filling import wrong

Batch = dict[str, Tensor]
_OF_THE_LENGTH = ("total_steps", "_schedule_phases")
"""What torch's one-cycle schedule knows of how long a run is."""


@dataclass(frozen=True)
class OptimiserSettings:
    """Adam, as the papers train with.

    Attributes:
        learning_rate: of Adam.
        weight_decay: 0 in the papers.
        schedule: `constant` in the papers. `one-cycle` (Smith and Topin 2018) rises to the learning rate and falls to
            nothing by the last step, with which networks that begin at random learn in far fewer steps.
    """

    learning_rate: float = 1e-4
    weight_decay: float = 0.0
    schedule: Literal["constant", "one-cycle"] = "constant"

    def __post_init__(self) -> None:
        if self.learning_rate <= 0:
            raise wrong("optimiser.learning_rate", f"is {self.learning_rate}", "It is above 0.")
        if self.weight_decay < 0:
            raise wrong("optimiser.weight_decay", f"is {self.weight_decay}", "It is 0 or more.")


class Stage(lightning.LightningModule):
    """One stage: a sum of weighted terms, trained with Adam; some parts are frozen and stay exactly as they are.

    A subclass makes its parts, calls `freeze`, and gives `terms`. Names of parts are those of the published
    checkpoints, so that `mien models add` takes a checkpoint of a stage.

    Args:
        weights: of each term in the sum. A term without a weight, or with 0, is logged only.
        optimiser: how it is trained.
    """

    def __init__(self, weights: Mapping[str, float], optimiser: OptimiserSettings) -> None:
        super().__init__()
        self.weights = dict(weights)
        self.optimiser = optimiser
        self.clock = StepClock()
        self._frozen: list[nn.Module] = []
        self._unsaved: tuple[str, ...] = ()

    def freeze(self, *modules: nn.Module) -> None:
        """Keep modules as they are: no gradients to their parameters, and statistics of batch norms do not move."""
        for module in modules:
            module.requires_grad_(False).eval()
            self._frozen.append(module)

    def train(self, mode: bool = True) -> Stage:
        """Training mode for everything that is not frozen."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self

    def lay_out(self) -> Stage:
        """Put the channels of pictures last, which convolutions are faster with; one over time as well has no such.

        Buffers stay as they are: none is of a convolution, and maps in UV space are looked into as they lie.
        """
        for tensor in self.parameters():
            if tensor.ndim == 4:
                tensor.data = tensor.data.contiguous(memory_format=torch.channels_last)
        return self

    @property
    def published(self) -> Mapping[str, object]:
        """What `cfg.yaml` beside a checkpoint says of its model, by the published names; empty where there is none.

        'mien models add' reads there what tensors do not tell.
        """
        return {}

    def leave_out(self, *names: str) -> None:
        """Keep parts out of checkpoints: heads, albedo and judges are files of their own, under their own licences."""
        self._unsaved = tuple(f"{name}." for name in names)

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """All but what is left out."""
        state = super().state_dict(*args, **kwargs)
        return {name: value for name, value in state.items() if not name.startswith(self._unsaved or ("\0",))}

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """As ever; what is left out stays as it is."""
        unsaved = self._unsaved or ("\0",)
        kept = {name: value for name, value in super().state_dict().items() if name.startswith(unsaved)}
        return super().load_state_dict({**kept, **state}, strict, assign)

    def exactly(self) -> torch.autocast:
        """Context in which nothing is rounded to half precision: for heads, renders and losses, whatever the
        trainer's precision is; networks alone may be."""
        return torch.autocast(self.device.type, enabled=False)

    @abstractmethod
    def terms(self, batch: Batch) -> dict[str, Tensor]:
        """Scalars by name, not weighted.

        Args:
            batch: items of a dataset with a leading batch axis; rings are laid out by `flat`.
        """

    def pictures(self, batch: Batch) -> dict[str, Tensor]:
        """Rows of pictures (B, 3, H, W) in [0, 1] by name, for people to look at; none by default."""
        return {}

    def total(self, terms: Mapping[str, Tensor]) -> Tensor:
        """The weighted sum.

        Raises:
            MienError: USAGE for a weight of a term that the stage does not have.
        """
        if unknown := [name for name, weight in self.weights.items() if weight and name not in terms]:
            raise wrong(f"model.weights.{unknown[0]}", "is no term of this stage", f"There are: {', '.join(terms)}.")
        weighed = [weight * terms[name] for name, weight in self.weights.items() if weight]
        return torch.stack(weighed).sum()

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """The loss of a batch."""
        return self._loss("train", batch)

    def validation_step(self, batch: Batch, index: int) -> Tensor:
        """The loss of a batch of other pictures."""
        return self._loss("validation", batch)

    def adam(self) -> torch.optim.Optimizer:
        """Adam over all that is not frozen."""
        trained = [parameter for parameter in self.parameters() if parameter.requires_grad]
        how = self.optimiser
        return torch.optim.Adam(trained, lr=how.learning_rate, weight_decay=how.weight_decay)

    def configure_optimizers(self) -> Any:
        """Adam, and how its learning rate changes; lightning asks for it."""
        adam = self.adam()
        if self.optimiser.schedule == "constant":
            return adam
        steps = int(self.trainer.estimated_stepping_batches)
        cycle = torch.optim.lr_scheduler.OneCycleLR(adam, self.optimiser.learning_rate, total_steps=steps)
        return {"optimizer": adam, "lr_scheduler": {"scheduler": cycle, "interval": "step"}}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """A run that goes on for longer than it was begun for has the learning rates of the longer one."""
        for state in checkpoint.get("lr_schedulers", ()):
            for name in _OF_THE_LENGTH:
                state.pop(name, None)

    def _loss(self, part: str, batch: Batch) -> Tensor:
        batch = laid_out(batch)
        terms = self.terms(batch)
        loss = self.total(terms)
        logged = {f"{part}/{name}": value.detach() for name, value in terms.items()} | {f"{part}/loss": loss.detach()}
        self.log_dict(logged, on_step=part == "train", on_epoch=part != "train", batch_size=len(batch["label"]),
                      sync_dist=part != "train")  # fmt: skip
        if part == "train":
            self.log("loss", loss.detach(), prog_bar=True, logger=False)
        return loss


def flat(batch: Batch) -> Batch:
    """Rings (B, K, ...) as rows (B*K, ...); other batches as they are."""
    if batch["label"].ndim == 1:
        return batch
    return {name: values.flatten(0, 1) for name, values in batch.items()}


def laid_out(batch: Batch) -> Batch:
    """Rows, with pictures as convolutions like them best: channels last is 1.3 to 2.5 times faster on a CPU."""
    batch = flat(batch)
    if "image" not in batch:  # codes alone
        return batch
    return batch | {"image": batch["image"].contiguous(memory_format=torch.channels_last)}
