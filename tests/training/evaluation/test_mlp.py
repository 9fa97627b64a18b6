# SPDX-License-Identifier: GPL-3.0-or-later
"""The network on codes: it learns what can be learnt, nothing else, and goes to files and back."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from backend.networks.emotion import EmotionMLP, readout
from backend.weights.adding import add
from backend.weights.parts import find
from blender_addon.contract.errors import ErrorCode, MienError
from tests.fabricated_codes import fabricated
from tests.seeded_networks import seeded
from training.evaluation.code_faces import CodeFaces
from training.evaluation.codes import CodeTable
from training.evaluation.mlp import TrainedMLP, TrainingSettings, ask, load_mlp, save_mlp, train_mlp
from training.evaluation.scores import Scores, score
from training.evaluation.splits import Split, fold_splits, stated_split
from training.losses.emotion import EmotionTruth, valence_arousal_losses
from training.metrics import pcc
from training.stages.emotion_mlp import EmotionMLPSettings, EmotionMLPStage
from training.stages.stage import OptimiserSettings

SMALL = TrainingSettings(epochs=12, patience=4, hidden=64, learning_rate=2e-3)


def trained(table: CodeTable, **how: object) -> tuple[TrainedMLP, Split]:
    split = stated_split(table.labels, "made up", 0)
    return train_mlp(table.values, table.labels, split, SMALL, **how), split


def judged(table: CodeTable, **how: object) -> Scores:
    network, split = trained(table, **how)
    return score(ask(network.network, table.values[split.test]), table.labels.rows(split.test))


def test_what_codes_tell_is_learnt() -> None:
    scores = judged(fabricated(80, 8))
    assert scores.values["E-ACC"] > 0.8
    assert scores.values["V-CCC"] > 0.8 and scores.values["A-CCC"] > 0.8
    assert scores.values["V-SAGR"] > 0.75 and scores.values["V-RMSE"] < 0.25


def test_what_codes_do_not_tell_stays_at_chance() -> None:
    scores = judged(fabricated(80, 8, told=0))
    assert scores.values["E-ACC"] < 0.25  # an eighth, of 192 faces
    assert abs(scores.values["V-PCC"]) < 0.25 and abs(scores.values["A-PCC"]) < 0.25


def test_the_same_seed_gives_the_same_network_and_another_one_another() -> None:
    table = fabricated(20, 6)
    one, two, other = (trained(table, seed=seed)[0] for seed in (1, 1, 2))
    state, again = one.network.state_dict(), two.network.state_dict()
    assert all(torch.equal(values, again[name]) for name, values in state.items())
    assert (one.epochs, one.best, one.loss) == (two.epochs, two.best, two.loss)
    assert not torch.equal(state["model.0.weight"], other.network.state_dict()["model.0.weight"])


def test_rows_for_testing_do_not_matter_for_training() -> None:
    table = fabricated(20, 6)
    split = stated_split(table.labels, "", 0)
    values = table.values.copy()
    values[split.test] = 1e6
    labels = replace(table.labels, label=np.where(table.labels.split == "test", 0, table.labels.label))
    one = train_mlp(table.values, table.labels, split, SMALL).network.state_dict()
    two = train_mlp(values, labels, split, SMALL).network.state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_standardised_training_gives_a_network_on_codes_as_they_are() -> None:
    table = fabricated(40, 6)
    stretched = replace(table, values=table.values * np.float32(50) + np.float32(30))
    split = stated_split(table.labels, "", 0)
    plain = train_mlp(table.values, table.labels, split, SMALL, standardise=True)
    far = train_mlp(stretched.values, table.labels, split, SMALL, standardise=True)
    one, two = ask(plain.network, table.values), ask(far.network, stretched.values)
    np.testing.assert_allclose(one.valence, two.valence, atol=0.05)
    assert score(two, table.labels).values["E-ACC"] > 0.7


def test_valence_and_arousal_alone() -> None:
    table = fabricated(30, 6)
    silent = replace(table.labels, label=np.full(len(table), -1))
    split = stated_split(silent, "", 0)
    network = train_mlp(table.values, silent, split, SMALL, classes=False).network
    scores = score(ask(network, table.values[split.test]), silent.rows(split.test))
    assert "E-ACC" not in scores.values and scores.values["V-PCC"] > 0.6


def test_it_stops_when_it_gets_no_better_and_keeps_the_best() -> None:
    told: list[int] = []
    network, _ = trained(fabricated(20, 6, told=0), progress=told.append)
    assert told == list(range(1, network.epochs + 1))
    assert network.epochs == min(SMALL.epochs, network.best + SMALL.patience)


def test_it_can_be_stopped() -> None:
    def stop(epoch: int) -> None:
        raise KeyboardInterrupt

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        trained(fabricated(8, 6), progress=stop)
    assert signal.getsignal(signal.SIGINT) is handler


def test_faces_without_labels_leave_the_losses_as_they_are() -> None:
    table = fabricated(4, 4)
    label, valence, arousal = table.labels.label.copy(), table.labels.valence.copy(), table.labels.arousal.copy()
    label[:3], valence[2:5], arousal[2:5] = -1, np.nan, np.nan
    labels = replace(table.labels, label=label, valence=valence, arousal=arousal)
    stage = EmotionMLPStage(EmotionMLPSettings(hidden=8), OptimiserSettings()).eval()
    terms = stage.terms(CodeFaces(table.values, labels)[range(16)])
    found = readout(stage(torch.from_numpy(table.values)))
    classes = -found.log_probabilities[torch.arange(3, 16), torch.from_numpy(label[3:])].mean()
    torch.testing.assert_close(terms["expression"], classes)
    rated = torch.from_numpy(np.isfinite(valence))
    truth = EmotionTruth(*(torch.from_numpy(each)[rated] for each in (label, valence, arousal)))
    parts = valence_arousal_losses(type(found)(*(each[rated] for each in found)), truth)
    torch.testing.assert_close(terms["valence_arousal"], torch.stack(list(parts.values())).mean())
    none = replace(labels, valence=np.full(16, np.nan, "f4"), arousal=np.full(16, np.nan, "f4"))
    empty = stage.terms(CodeFaces(table.values, none)[range(16)])
    assert empty["valence_arousal"] == 0 and torch.isfinite(stage.total(empty))


def test_what_only_clips_tell_is_worth_nothing_on_others() -> None:
    """Valence that follows the clip, which its identity gives away: told within clips, not across whole folds."""
    table = fabricated(60, 6, told=0)
    random = np.random.default_rng(5)
    rating = np.repeat(random.uniform(-1, 1, (60, 2)), 6, axis=0).astype(np.float32)
    labels = replace(table.labels, valence=rating[:, 0], arousal=rating[:, 1], split=np.full(360, ""))
    apart = list(fold_splits(labels, "", 0))
    mixed = np.array_split(random.permutation(360), 5)
    rest = [np.concatenate([mixed[k] for k in range(5) if k not in (n, (n - 1) % 5)]) for n in range(5)]
    leaking = [Split(rest[n], mixed[n - 1], mixed[n]) for n in range(5)]
    found = []
    for splits in (apart, leaking):
        said = np.zeros(360)
        for split in splits:
            network = train_mlp(table.values, labels, split, SMALL, classes=False).network
            said[split.test] = ask(network, table.values[split.test]).valence
        found.append(pcc(said, labels.valence))
    assert abs(found[0]) < 0.3 and found[1] > 0.6


def test_too_few_faces_are_refused() -> None:
    table = fabricated(4, 2)
    silent = replace(table.labels, label=np.full(8, -1), valence=np.full(8, np.nan, "f4"))
    with pytest.raises(MienError, match="0 labelled faces for training"):
        train_mlp(table.values, silent, Split(np.arange(4), np.arange(4, 6), np.arange(6, 8)), SMALL)


def test_the_network_goes_to_a_file_and_back(tmp_path: Path) -> None:
    network = trained(fabricated(6, 4))[0].network
    save_mlp(network, tmp_path / "mlp.ckpt")
    read = load_mlp(str(tmp_path / "mlp.ckpt"), 153)
    assert all(torch.equal(values, read.state_dict()[name]) for name, values in network.state_dict().items())
    with pytest.raises(MienError, match="takes codes of 153 numbers, not 281") as caught:
        load_mlp(str(tmp_path / "mlp.ckpt"), 281)
    assert caught.value.code is ErrorCode.BAD_WEIGHTS
    torch.save({"state_dict": {"linear.weight": torch.zeros(2, 2)}}, tmp_path / "other.ckpt")
    with pytest.raises(MienError, match="no emotion network on head parameters"):
        load_mlp(str(tmp_path / "other.ckpt"), 153)


def test_models_add_takes_the_file_back(mien_home: Path, tmp_path: Path) -> None:
    network = seeded(EmotionMLP())
    save_mlp(network, tmp_path / "mlp.ckpt")
    add([tmp_path / "mlp.ckpt"])
    stored = find("emotion_mlp").tensors()
    assert all(torch.equal(values, stored[name]) for name, values in network.state_dict().items())
