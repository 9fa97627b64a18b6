# SPDX-License-Identifier: GPL-3.0-or-later
"""How good an expression encoder is on faces it has not seen: against the truth, and by what is felt."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from backend.networks.emotion import EmotionNetwork, readout
from training.metrics import ccc
from training.model.face import expressed
from training.model.layout import true_code
from training.stages.emoca_coarse import EmocaCoarseStage
from training.stages.stage import Batch, laid_out


@dataclass(frozen=True)
class Felt:
    """Emotion of render and photo by one network.

    Attributes:
        distance: mean over faces of 1 - cosine of the features.
        same_class: share of faces that get the same class twice.
        valence: CCC between both.
        arousal: the same.
        right_class: share of renders that get the face's true class.
    """

    distance: float
    same_class: float
    valence: float
    arousal: float
    right_class: float


@dataclass(frozen=True)
class Judged:
    """One expression encoder.

    Attributes:
        expression: mean error in millimetres over the face's vertices, of expression and lids on the mean face.
        code: root mean square error of the expression's channels and the lids.
        strength: mean length of the expression over that of the true one.
        felt: by the network that the loss used, and by another that it never saw.
    """

    expression: float
    code: float
    strength: float
    felt: tuple[Felt, Felt]


@torch.no_grad()
def judge(
    stage: EmocaCoarseStage, batches: Iterable[Batch], networks: tuple[EmotionNetwork, EmotionNetwork], face: Tensor
) -> Judged:
    """Judge the expression encoder of a stage.

    Args:
        stage: with encoders and renderer.
        batches: of synthetic faces.
        networks: that of the loss, and another.
        face: (V,) bool, the vertices that count.
    """
    stage.eval()
    rows: list[tuple[Tensor, ...]] = []
    seen: tuple[list[tuple[Tensor, ...]], list[tuple[Tensor, ...]]] = ([], [])
    for batch in map(laid_out, batches):
        code, _, render = stage.rendered(batch)
        truth = true_code(batch, stage.layout)
        apart = expressed(stage.model.head, code) - expressed(stage.model.head, truth)
        parts = [torch.cat((each.expression, each.eyelids), 1) for each in (code, truth)]
        lengths = [part.norm(dim=1) for part in parts]
        rows.append((apart[:, face].norm(dim=2).mean(1), (parts[0] - parts[1]).square().mean(1), *lengths))
        shown = (render.image * render.mask).clamp(0, 1)
        for network, found in zip(networks, seen, strict=True):
            found.append(_both(network.eval(), shown, batch))
    millimetres, square, ours, true = (torch.cat(column) for column in zip(*rows, strict=True))
    felt = tuple(_felt(*(torch.cat(column) for column in zip(*found, strict=True))) for found in seen)
    return Judged(
        1000 * float(millimetres.mean()), float(square.mean().sqrt()), float(ours.mean() / true.mean()),
        felt,  # type: ignore[arg-type]
    )  # fmt: skip


def _both(network: EmotionNetwork, render: Tensor, batch: Batch) -> tuple[Tensor, ...]:
    features = [network.features(pictures) for pictures in (render, batch["image"])]
    outputs = [network.linear(each) for each in features]
    return *features, *outputs, batch["label"]


def _felt(render: Tensor, photo: Tensor, of_render: Tensor, of_photo: Tensor, label: Tensor) -> Felt:
    ours, theirs = readout(of_render), readout(of_photo)
    classes = ours.log_probabilities.argmax(1), theirs.log_probabilities.argmax(1)

    def agree(name: str) -> float:
        pair: list[np.ndarray] = [getattr(each, name).flatten().numpy() for each in (ours, theirs)]
        return ccc(*pair)

    return Felt(
        distance=float((1 - functional.cosine_similarity(render, photo)).mean()),
        same_class=float((classes[0] == classes[1]).float().mean()),
        valence=agree("valence"),
        arousal=agree("arousal"),
        right_class=float((classes[0] == label).float().mean()),
    )
