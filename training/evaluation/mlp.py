# SPDX-License-Identifier: GPL-3.0-or-later
"""The MLP on codes: trained until it gets no better on the rows that are held back, loaded, saved, asked."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping
from torch import Tensor, nn
from torch.utils.data import BatchSampler, DataLoader

from backend.networks.emotion import OUTPUTS, EmotionMLP, readout
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import atomic_write
from training.datasets.sampling import EpochSampler, sampler
from training.evaluation.code_faces import CodeFaces
from training.evaluation.labels import Labels
from training.evaluation.scores import Said
from training.evaluation.splits import Split
from training.model.starting import begin, weights
from training.stages.emotion_mlp import EmotionMLPSettings, EmotionMLPStage
from training.stages.stage import OptimiserSettings
from training.trainer.keeping import stoppable
from training.trainer.lightning_manners import quiet

PREFIX = "mlp."
"""Of the network in checkpoints, as published."""
_LOSS = "validation/loss"
_ASKED_AT_ONCE = 4096
_LAST_LAYER = "model.12.weight"
_FIRST_LAYER = "model.0.weight"


@dataclass(frozen=True)
class TrainingSettings:
    """How the MLP is trained; the defaults are the paper's.

    Attributes:
        epochs: at most.
        patience: epochs without a better loss on the rows held back after which it ends.
        batch: faces of a step.
        learning_rate: of Adam.
        balanced: whether each class is drawn equally often; only where all training rows have a class.
        hidden: width of the layers.
    """

    epochs: int = 50
    patience: int = 10
    batch: int = 64
    learning_rate: float = 1e-4
    balanced: bool = True
    hidden: int = 2048


@dataclass(frozen=True, eq=False)
class TrainedMLP:
    """What training gave.

    Attributes:
        network: in evaluation; it takes codes as the method gives them.
        epochs: how many were trained.
        best: which of them the network is of, from 1.
        loss: its loss on the rows held back.
    """

    network: EmotionMLP
    epochs: int
    best: int
    loss: float


def train_mlp(
    codes: np.ndarray,
    labels: Labels,
    split: Split,
    settings: TrainingSettings,
    *,
    seed: int = 0,
    classes: bool = True,
    standardise: bool = False,
    device: torch.device = torch.device("cpu"),  # noqa: B008
    progress: Callable[[int], None] = lambda epoch: None,
) -> TrainedMLP:
    """Train an MLP on some rows, and stop by others; the rows for testing are not looked at.

    Args:
        codes: (N, D) float32 of all rows.
        labels: N.
        split: which rows are for what.
        settings: see there.
        seed: of weights, order and chances; the same seed gives the same network on the same machine.
        classes: whether it learns expressions, too, or valence and arousal alone.
        standardise: shift and scale each column to mean 0 and deviation 1 over the training rows. The network that is
            returned has that in its first layer.
        device: where.
        progress: told each epoch that ends, from 1.

    Raises:
        MienError: USAGE where there are too few rows with labels that are learnt, and where the loss is no number.
    """
    _check_enough(labels, split, classes)
    mean, scale = _standard(codes[split.train]) if standardise else (np.zeros(codes.shape[1]), np.ones(codes.shape[1]))
    shown = ((codes - mean) / scale).astype(np.float32)
    weights = {"expression": 1.0, "valence_arousal": 1.0} if classes else {"valence_arousal": 1.0}
    stage_settings = EmotionMLPSettings(codes.shape[1], settings.hidden, weights)
    stage = EmotionMLPStage(stage_settings, OptimiserSettings(settings.learning_rate), seed)
    train, looked_at = (CodeFaces(shown[rows], labels.rows(rows)) for rows in (split.train, split.validation))
    looked_at_whole = DataLoader(looked_at, batch_size=None, sampler=[range(len(looked_at))])
    # One face alone has no batch statistics, so a last batch that is not full is left out where there are others.
    full = len(train) >= settings.batch
    balanced = classes and settings.balanced and bool((train.labels() >= 0).all())
    order = sampler(train, seed, balanced=balanced)
    batches = DataLoader(train, batch_size=None, sampler=BatchSampler(order, settings.batch, drop_last=full))
    keep = _KeepBest(order, progress)
    with quiet():
        trainer = lightning.Trainer(
            accelerator="gpu" if device.type == "cuda" else device.type,
            devices=[device.index or 0] if device.type == "cuda" else 1, max_epochs=settings.epochs,
            callbacks=[EarlyStopping(_LOSS, patience=settings.patience, check_finite=True), keep], logger=False,
            enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
            use_distributed_sampler=False,
        )  # fmt: skip
        with stoppable():
            trainer.fit(stage, batches, looked_at_whole)
    if not np.isfinite(keep.loss):
        message = f"The training of the emotion network failed: its loss was {keep.loss}."
        raise MienError(ErrorCode.USAGE, message, "Look for values in the codes that are far too large.")
    stage.mlp.load_state_dict(keep.state)
    network = _on_raw(stage.mlp.cpu().eval().requires_grad_(False), mean, scale)
    return TrainedMLP(network, keep.epochs, keep.best, keep.loss)


def ask(network: EmotionMLP, codes: np.ndarray, device: torch.device = torch.device("cpu")) -> Said:  # noqa: B008
    """What a network says of codes (N, D)."""
    network = copy.deepcopy(network).to(device).eval()
    outputs = []
    with torch.inference_mode():
        for start in range(0, len(codes), _ASKED_AT_ONCE):
            outputs.append(network(torch.from_numpy(codes[start : start + _ASKED_AT_ONCE]).to(device)).cpu())
    found = readout(torch.cat(outputs))
    return Said(found.valence[:, 0].numpy(), found.arousal[:, 0].numpy(), found.log_probabilities.numpy())


def save_mlp(network: EmotionMLP, path: Path) -> None:
    """Write a checkpoint that `load_mlp` and `mien models add` take.

    Raises:
        MienError: NO_SPACE, NOT_PERMITTED, MISSING_FILE.
    """
    content = io.BytesIO()
    torch.save({"state_dict": {PREFIX + name: values for name, values in network.state_dict().items()}}, content)
    atomic_write(path, lambda file: file.write(content.getbuffer()))


def load_mlp(source: str, inputs: int) -> EmotionMLP:
    """A trained network, ours or the published one; nothing in the file is run.

    Args:
        source: path of a checkpoint, or `emotion_mlp`, with a name where there are several (`emotion_mlp:NAME`), of
            those that were added.
        inputs: numbers of the codes that it shall be asked about.

    Raises:
        MienError: MISSING_FILE, NOT_PERMITTED, TOO_LARGE; BAD_WEIGHTS for another file or another width.
    """
    state = {name.removeprefix(PREFIX): values for name, values in weights(source).items()}
    first, last = state.get(_FIRST_LAYER), state.get(_LAST_LAYER)
    if first is None or last is None or first.ndim != 2 or len(last) != OUTPUTS:
        raise MienError(
            ErrorCode.BAD_WEIGHTS, f"{source} holds no emotion network on head parameters ({PREFIX}model.*).",
            "Choose a checkpoint that 'mien train evaluate-emotion' wrote, or the published one.",
        )  # fmt: skip
    if first.shape[1] != inputs:
        message = f"{source} takes codes of {first.shape[1]} numbers, not {inputs}."
        raise MienError(ErrorCode.BAD_WEIGHTS, message, "Choose the groups of codes that it was trained on.")
    network = EmotionMLP(inputs, len(first))
    begin(network, state, "", source)
    return network.eval().requires_grad_(False)


def _check_enough(labels: Labels, split: Split, classes: bool) -> None:
    """Refuse what nothing can be learnt from.

    Raises:
        MienError: USAGE.
    """
    for rows, what, least in ((split.train, "for training", 2), (split.validation, "that choose when to stop", 1)):
        known = labels.rows(rows)
        usable = known.any if classes else known.rated
        if usable.sum() < least:
            message = f"There are {int(usable.sum())} labelled faces {what}; {least} at least are needed."
            raise MienError(ErrorCode.USAGE, message, "Give more faces, or other splits.")


def _standard(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation (D,) of columns, in float64; 1 for columns that do not vary."""
    exact = codes.astype(np.float64)
    deviation = exact.std(0)
    return exact.mean(0), np.where(deviation > 0, deviation, 1.0)


def _on_raw(network: EmotionMLP, mean: np.ndarray, scale: np.ndarray) -> EmotionMLP:
    """The network on codes as the method gives them, which was trained on (codes - mean) / scale."""
    first = network.model[0]
    assert isinstance(first, nn.Linear)
    with torch.no_grad():
        weight = first.weight.double() / torch.from_numpy(scale)
        first.bias.copy_(first.bias.double() - weight @ torch.from_numpy(mean))
        first.weight.copy_(weight)
    return network


class _KeepBest(Callback):
    """Keeps the network of the epoch with the smallest loss on the rows held back, and draws each epoch anew."""

    def __init__(self, order: EpochSampler, progress: Callable[[int], None]) -> None:
        self._order = order
        self.state: dict[str, Tensor] = {}
        self.epochs, self.best, self.loss = 0, 0, float("inf")
        self._progress = progress

    def on_train_epoch_start(self, trainer: lightning.Trainer, stage: lightning.LightningModule) -> None:
        self._order.set_epoch(trainer.current_epoch)

    def on_validation_end(self, trainer: lightning.Trainer, stage: lightning.LightningModule) -> None:
        self.epochs += 1
        loss = float(trainer.callback_metrics[_LOSS])
        if loss < self.loss or not self.state:
            self.best, self.loss = self.epochs, loss
            self.state = {name: values.detach().clone() for name, values in stage.mlp.state_dict().items()}
        self._progress(self.epochs)
