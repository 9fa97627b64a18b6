# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of a small emotion network: what they leave, that they are resumed, repeatable, and refused in wrong folders."""

from __future__ import annotations

import json
import math
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from blender_addon.contract.errors import ErrorCode, MienError
from tests.small_stages import rings, small_stage
from training.model.emotion import emotion_network
from training.stages.emotion_network import EmotionNetworkStage
from training.stages.stage import Batch
from training.synthetic.dataset import SyntheticFaces
from training.synthetic.on_disk import write_faces
from training.trainer.configuration import Configuration, read_configuration
from training.trainer.pictures import PictureGrids
from training.trainer.run import train
from training.trainer.speed import step_speed


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faces")
    write_faces(SyntheticFaces(6, 2), folder, per_file=4)
    return folder


def run_of(faces: Path, *changes: str) -> tuple[Configuration, dict[str, Any]]:
    stored = f"{{kind: stored, folder: '{faces.as_posix()}'}}"
    return read_configuration(
        "emotion_network_synthetic",
        [
            "model.backbone=mobilenet_small", "trainer.batch=4", "trainer.epochs=2", "trainer.workers=0",
            "trainer.accelerator=cpu", "trainer.deterministic=true", "trainer.log_every=1", "trainer.pictures_every=2",
            "trainer.patience=0", f"data.train={stored}", f"data.validation={stored}", *changes,
        ],
    )  # fmt: skip


def weights(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, weights_only=True)["state_dict"]


def same(one: Path, other: Path) -> bool:
    a, b = weights(one), weights(other)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_a_run_leaves_checkpoints_results_and_curves(faces: Path, tmp_path: Path) -> None:
    trained = train(*run_of(faces), tmp_path, progress=False)
    assert trained.steps == 6
    assert json.loads((tmp_path / "result.json").read_text())["steps"] == 6
    assert emotion_network(str(trained.best))(torch.rand(1, 3, 224, 224)).shape == (1, 10)
    events = EventAccumulator(str(tmp_path / "log"))
    events.Reload()
    assert {"train/loss", "train/expression", "validation/loss", "validation/accuracy"} <= set(events.Tags()["scalars"])
    assert len(events.Scalars("train/loss")) == 6


@pytest.mark.skipif(not hasattr(signal, "SIGPROF"), reason="there is no such signal on Windows")
def test_faces_can_be_looked_for_after_a_run(faces: Path, tmp_path: Path) -> None:
    """Else the next landmarker of MediaPipe in this process would end it."""
    train(*run_of(faces, "trainer.steps=1"), tmp_path, progress=False)
    assert signal.getsignal(signal.SIGPROF) is signal.SIG_IGN


def test_the_same_seed_gives_the_same_weights_and_another_does_not(faces: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train(*run_of(faces, "trainer.epochs=1", f"seed={seed}"), tmp_path / name, progress=False)
    assert same(tmp_path / "a/last.ckpt", tmp_path / "b/last.ckpt")
    assert not same(tmp_path / "a/last.ckpt", tmp_path / "c/last.ckpt")


def test_a_run_goes_on_where_it_was(faces: Path, tmp_path: Path) -> None:
    first = train(*run_of(faces, "trainer.epochs=1"), tmp_path, progress=False)
    assert first.steps == 3
    known = weights(first.last)
    second = train(*run_of(faces, "trainer.epochs=2"), tmp_path, progress=False)
    assert second.steps == 6
    assert any(not torch.equal(value, known[name]) for name, value in weights(second.last).items())
    third = train(*run_of(faces, "trainer.epochs=2"), tmp_path, progress=False)
    assert third.steps == 6
    assert same(second.last, third.last)


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.*")}


def test_a_run_that_has_ended_stays_as_it_is(faces: Path, tmp_path: Path) -> None:
    first = train(*run_of(faces, "trainer.epochs=1"), tmp_path, progress=False)
    assert "validation/loss" in first.metrics
    known = files_of(tmp_path)
    assert train(*run_of(faces, "trainer.epochs=1"), tmp_path, progress=False) == first
    assert files_of(tmp_path) == known
    (tmp_path / "result.json").write_text("{")
    assert train(*run_of(faces, "trainer.epochs=1"), tmp_path, progress=False).steps == 3
    assert json.loads((tmp_path / "result.json").read_text())["steps"] == 3


@pytest.mark.parametrize(("share", "steps"), [(1.0, 9), (0.34, 3)])
def test_a_run_that_ended_early_has_ended(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float, steps: int
) -> None:
    terms = EmotionNetworkStage.terms

    def no_better(stage: EmotionNetworkStage, batch: Batch) -> dict[str, torch.Tensor]:
        made = terms(stage, batch)
        return made if stage.training else {name: value * 0 + 1 for name, value in made.items()}

    monkeypatch.setattr(EmotionNetworkStage, "terms", no_better)
    how = ("trainer.epochs=50", "trainer.patience=2", f"trainer.validate_every={share}")
    first = train(*run_of(faces, *how), tmp_path, progress=False)
    assert first.steps == steps  # the first validation is better than none
    known = files_of(tmp_path)
    assert train(*run_of(faces, *how), tmp_path, progress=False) == first
    assert files_of(tmp_path) == known
    further = train(*run_of(faces, *how, "trainer.patience=3"), tmp_path, progress=False)
    assert first.steps < further.steps <= first.steps + 3
    assert train(*run_of(faces, *how, "trainer.patience=3"), tmp_path, progress=False) == further


def test_a_folder_of_another_run_is_refused(faces: Path, tmp_path: Path) -> None:
    train(*run_of(faces, "trainer.steps=1"), tmp_path, progress=False)
    with pytest.raises(MienError, match="another configuration") as error:
        train(*run_of(faces, "optimiser.learning_rate=0.5"), tmp_path, progress=False)
    assert error.value.code is ErrorCode.USAGE


@pytest.mark.parametrize("text", ["[", "- a", None])
def test_checkpoints_of_nobody_knows_what_are_not_touched(faces: Path, tmp_path: Path, text: str | None) -> None:
    (tmp_path / "last.ckpt").write_bytes(b"mine")
    if text is not None:
        (tmp_path / "run.yaml").write_text(text)
    with pytest.raises(MienError, match="another configuration"):
        train(*run_of(faces), tmp_path, progress=False)
    assert (tmp_path / "last.ckpt").read_bytes() == b"mine"


def test_a_run_that_never_began_may_be_corrected(faces: Path, tmp_path: Path) -> None:
    with pytest.raises(MienError, match="is no term of this stage"):
        train(*run_of(faces, "model.weights.beauty=1"), tmp_path, progress=False)
    assert train(*run_of(faces, "trainer.steps=1"), tmp_path, progress=False).steps == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("trainer.accelerator=teapot", "invalid accelerator name"),
        ("trainer.strategy=somehow", "invalid strategy name"),
        ("trainer.devices=many", "`devices` selected"),
        ("trainer.devices='0,1'", "`devices` selected"),
        ("data.train={kind: synthetic, people: 0, pictures: 1}", "'data.train' gives no pictures"),
    ],
)
def test_what_is_not_possible_is_told(faces: Path, tmp_path: Path, change: str, said: str) -> None:
    with pytest.raises(MienError, match=said) as error:
        train(*run_of(faces, change), tmp_path, progress=False)
    assert error.value.code is ErrorCode.USAGE and error.value.remedy


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_a_kill_keep_the_state_and_says_how_to_go_on(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    terms, steps = EmotionNetworkStage.terms, iter(range(100))

    def interrupted(stage: EmotionNetworkStage, batch: Batch) -> dict[str, torch.Tensor]:
        if next(steps) == 2:
            signal.raise_signal(number)
        return terms(stage, batch)

    monkeypatch.setattr(EmotionNetworkStage, "terms", interrupted)
    with pytest.raises(MienError, match="Stopped at step 3") as error:
        train(*run_of(faces), tmp_path, progress=False)
    assert error.value.code is ErrorCode.CANCELLED
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == 3
    monkeypatch.undo()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert train(*run_of(faces), tmp_path, progress=False).steps == 6


def test_a_run_that_goes_on_takes_the_pictures_that_were_left(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[list[float]] = []
    terms, last = EmotionNetworkStage.terms, [0]

    def watched(stage: EmotionNetworkStage, batch: Batch) -> dict[str, torch.Tensor]:
        if stage.training and len(taken) == last[0]:
            last[0] = -1
            signal.raise_signal(signal.SIGINT)
        if stage.training:
            taken.append(batch["arousal"].tolist())
        return terms(stage, batch)

    monkeypatch.setattr(EmotionNetworkStage, "terms", watched)
    last[0] = -1
    train(*run_of(faces), tmp_path / "whole", progress=False)
    whole = taken.copy()
    taken.clear()
    last[0] = 4
    with pytest.raises(MienError, match="Stopped at step 5"):
        train(*run_of(faces), tmp_path / "parts", progress=False)
    train(*run_of(faces), tmp_path / "parts", progress=False)
    assert taken == whole and len(whole) == 6


def test_the_state_is_kept_after_each_epoch(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terms, steps = EmotionNetworkStage.terms, iter(range(100))

    def failing(stage: EmotionNetworkStage, batch: Batch) -> dict[str, torch.Tensor]:
        if stage.training and next(steps) == 4:
            raise RuntimeError("no more memory")
        return terms(stage, batch)

    monkeypatch.setattr(EmotionNetworkStage, "terms", failing)
    with pytest.raises(RuntimeError, match="no more memory"):
        train(*run_of(faces), tmp_path, progress=False)
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == 3


def test_a_state_without_numbers_does_not_replace_the_one_before(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terms, steps = EmotionNetworkStage.terms, iter(range(100))

    def breaking(stage: EmotionNetworkStage, batch: Batch) -> dict[str, torch.Tensor]:
        made = terms(stage, batch)
        broken = stage.training and next(steps) > 3
        return {name: value * math.nan for name, value in made.items()} if broken else made

    monkeypatch.setattr(EmotionNetworkStage, "terms", breaking)
    with pytest.raises(MienError, match="no numbers any more") as error:
        train(*run_of(faces, "trainer.patience=1"), tmp_path, progress=False)
    assert error.value.code is ErrorCode.USAGE and "last.ckpt holds the state before" in error.value.remedy
    assert all(value.isfinite().all() for value in weights(tmp_path / "last.ckpt").values())
    monkeypatch.undo()
    assert train(*run_of(faces), tmp_path, progress=False).steps == 6


def test_too_little_memory_is_told(faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_much(stage: EmotionNetworkStage, batch: Batch) -> dict[str, torch.Tensor]:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(EmotionNetworkStage, "terms", too_much)
    with pytest.raises(MienError, match="trainer.batch=4") as error:
        train(*run_of(faces), tmp_path, progress=False)
    assert error.value.code is ErrorCode.TOO_LARGE


def test_mixed_precision_trains(faces: Path, tmp_path: Path) -> None:
    trained = train(*run_of(faces, "trainer.precision=bf16-mixed", "trainer.steps=2"), tmp_path, progress=False)
    assert trained.steps == 2
    assert all(value.isfinite().all() for value in weights(trained.last).values())


def test_the_time_of_a_step_is_split_into_its_parts(faces: Path) -> None:
    speed = step_speed(run_of(faces)[0], 2, "cpu")
    assert speed.batch == 4 and speed.pictures_per_second > 0
    assert {"data", "encoder", "losses", "backward", "optimiser"} <= set(speed.shares)
    assert 0.5 < sum(speed.shares.values()) <= 1.001


def test_pictures_for_people_change_nothing_that_is_learnt(faces: Path, tmp_path: Path) -> None:
    stage = small_stage("deca-coarse").train()
    before = {name: value.clone() for name, value in stage.state_dict().items()}
    logger = SimpleNamespace(logger=TensorBoardLogger(tmp_path), is_global_zero=True, global_step=1)
    PictureGrids(1)._write(logger, stage, rings(), "train")  # type: ignore[arg-type]
    assert stage.training
    assert all(torch.equal(value, before[name]) for name, value in stage.state_dict().items())
