# SPDX-License-Identifier: GPL-3.0-or-later
"""Training a stage with lightning: one GPU, many, or a CPU; interrupted and resumed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch
import yaml
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger

from backend.weights.choosing import CONFIG
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import atomic_write, make_folder
from training.stages.making import make_stage
from training.stages.stage import Stage
from training.trainer.checkpoints import WholeCheckpoints
from training.trainer.configuration import Configuration, TrainerSettings
from training.trainer.data import Epochs, RunData
from training.trainer.keeping import KeptState, Patience, stoppable
from training.trainer.lightning_manners import first_process, keep_safe_path, possible, queues, quiet
from training.trainer.pictures import PictureGrids

CONFIGURATION = "run.yaml"
RESULT = "result.json"
LAST = "last.ckpt"
_LOSS = "validation/loss"
_LOG = "log"


@dataclass(frozen=True)
class Trained:
    """What a run left.

    Attributes:
        best: checkpoint with the smallest loss on the validation pictures; the last where there was no validation.
        last: checkpoint that the run is resumed from.
        steps: optimiser steps so far.
        metrics: the last values of all that is logged.
    """

    best: Path
    last: Path
    steps: int
    metrics: dict[str, float]


def train(configuration: Configuration, table: dict[str, Any], out: Path, *, progress: bool = True) -> Trained:
    """Train a stage; a run that is in the folder goes on where it was.

    Args:
        configuration: see there.
        table: what it was read from; written beside the checkpoints.
        out: folder of the run.
        progress: whether to show a bar.

    Raises:
        MienError: USAGE where the folder holds a run of another configuration; CANCELLED after Ctrl-C, with the last
            state kept; what making the stage and its data raises.
    """
    claim(out, table)
    lightning.seed_everything(configuration.seed, workers=True, verbose=False)
    return fit(make_stage(configuration), RunData(configuration), configuration.trainer, out, progress=progress)


def fit(stage: Stage, data: RunData, how: TrainerSettings, out: Path, *, progress: bool = True) -> Trained:
    """Train a stage that is made; the state in the folder, where there is one, goes on.

    On several devices lightning runs the command once for each; the first of these processes writes and talks.

    Raises:
        MienError: CANCELLED after Ctrl-C, with the last state kept; USAGE for devices that are not there, and where
            the weights are no numbers any more; TOO_LARGE for batches that do not fit into the memory.
        SystemExit: in the other processes of a run that was stopped, which have nothing to say.
    """
    make_folder(out / _LOG)
    describe(stage, out)
    kept = KeptState(out / LAST, how.save_every)
    with quiet():
        trainer = _trainer(how, out, kept, progress)
    stage.lay_out()
    keep_safe_path()
    try:
        with quiet(), stoppable(kept), possible():
            resumed = str(out / LAST) if (out / LAST).exists() else None
            trainer.fit(stage, data, ckpt_path=resumed, weights_only=True)
    except KeyboardInterrupt as error:
        if not first_process():
            raise SystemExit(0) from error
        raise _stopped(trainer.global_step, out / LAST) from error
    except torch.OutOfMemoryError as error:
        message = f"The device has too little memory for trainer.batch={how.batch}."
        remedy = "Give a smaller trainer.batch, or trainer.precision=bf16-mixed; the run goes on from the last state."
        raise MienError(ErrorCode.TOO_LARGE, message, remedy) from error
    return _result(trainer, out, kept)


def claim(out: Path, table: dict[str, Any]) -> None:
    """Write what the run is into its folder, or make sure that it is the run that is there.

    Raises:
        MienError: USAGE where another is; NO_SPACE, NOT_PERMITTED.
    """
    make_folder(out)
    path = out / CONFIGURATION
    text = yaml.safe_dump(table, sort_keys=True)
    if any(out.glob("*.ckpt")) and _about(_known(path)) != _about(table):  # before that, what failed may be corrected
        message = f"{out} holds a run of another configuration ({CONFIGURATION})."
        raise MienError(ErrorCode.USAGE, message, "Choose another --out, or remove that folder.")
    if first_process():
        atomic_write(path, lambda file: file.write(text.encode()))


def describe(stage: Stage, out: Path) -> None:
    """Write what 'mien models add' needs to know of the checkpoints beside them.

    Raises:
        MienError: NO_SPACE, NOT_PERMITTED.
    """
    if stage.published and first_process():
        make_folder(out)
        text = yaml.safe_dump({"model": dict(stage.published)})
        atomic_write(out / CONFIG, lambda file: file.write(text.encode()))


def _known(path: Path) -> dict[str, Any]:
    """What a run is; empty where nobody can tell."""
    try:
        table = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    return table if isinstance(table, dict) else {}


def _about(table: dict[str, Any]) -> dict[str, Any]:
    """What must not change within a run: all but how long and where it runs."""
    return {name: value for name, value in table.items() if name != "trainer"}


def _trainer(how: TrainerSettings, out: Path, kept: KeptState, progress: bool) -> lightning.Trainer:
    with possible(ValueError, RuntimeError, TypeError):
        return lightning.Trainer(
            accelerator=how.accelerator, devices=how.devices, num_nodes=how.nodes, strategy=how.strategy,
            precision=how.precision, deterministic="warn" if how.deterministic else False,
            max_epochs=how.epochs, max_steps=how.steps, gradient_clip_val=how.clip or None,
            val_check_interval=how.validate_every, limit_val_batches=how.validation_batches or 1.0,
            log_every_n_steps=how.log_every, callbacks=_callbacks(how, out, kept), use_distributed_sampler=False,
            logger=TensorBoardLogger(str(out), name="", version=_LOG), num_sanity_val_steps=0,
            enable_progress_bar=progress, enable_model_summary=False, default_root_dir=out,
            plugins=[WholeCheckpoints(), *queues()],
        )  # fmt: skip


def _callbacks(how: TrainerSettings, out: Path, kept: KeptState) -> list[Callback]:
    best = ModelCheckpoint(out, filename="best", monitor=_LOSS, enable_version_counter=False)
    callbacks: list[Callback] = [best, kept, Epochs(), PictureGrids(how.pictures_every)]
    if how.patience:
        callbacks.append(Patience(_LOSS, patience=how.patience, check_finite=False, strict=False))
    return callbacks


def _stopped(step: int, last: Path) -> MienError:
    kept = f"{last} holds the state to go on from" if last.exists() else "nothing was learnt yet"
    message = f"Stopped at step {step}; {kept}."
    return MienError(ErrorCode.CANCELLED, message, "Give the same command again to go on.")


def _result(trainer: lightning.Trainer, out: Path, kept: KeptState) -> Trained:
    known = trainer.strategy.broadcast(_known_result(out))
    if known is not None and not kept.trained and known.steps == trainer.global_step:
        return known  # it had ended before
    trainer.save_checkpoint(out / LAST, weights_only=False)
    best = out / "best.ckpt"
    metrics = {name: float(value) for name, value in trainer.logged_metrics.items()}
    result = Trained(best if best.exists() else out / LAST, out / LAST, trainer.global_step, metrics)
    about = {"best": result.best.name, "steps": result.steps, "metrics": metrics}
    if first_process():
        atomic_write(out / RESULT, lambda file: file.write(json.dumps(about, indent=1).encode()))
    return result


def _known_result(out: Path) -> Trained | None:
    """What the run left before; None where it did not end, or nobody can tell."""
    try:
        about = json.loads((out / RESULT).read_bytes())
        return Trained(out / about["best"], out / LAST, about["steps"], about["metrics"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
