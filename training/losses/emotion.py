# SPDX-License-Identifier: GPL-3.0-or-later
"""Losses about emotion: EMOCA's consistency of features, and the terms that train the emotion networks.

EMOCA, Danecek et al. 2022, sections 3.1 and 3.2; the terms for valence and arousal and their random weights are of
Toisoul et al. 2021 (EmoNet).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from backend.networks.emotion import EmotionReadout
from training.losses.agreement import ccc, pcc

FeatureMetric = Literal["l2", "l1", "cosine"]

VALENCE_AROUSAL_TERMS = ("valence_mse", "arousal_mse", "pcc", "ccc")


def feature_loss(render: Tensor, photo: Tensor, metric: FeatureMetric = "l2") -> Tensor:
    """How far the emotion features of render and photo are apart.

    Args:
        render: (B, C), with gradient.
        photo: (B, C); its gradient is stopped.
        metric: `l2` (EMOCA's) is the mean square over faces and features, `l1` the mean absolute difference, `cosine`
            the mean over faces of 1 - cosine.
    """
    photo = photo.detach()
    match metric:
        case "l2":
            return functional.mse_loss(render, photo)
        case "l1":
            return functional.l1_loss(render, photo)
        case "cosine":
            return (1 - functional.cosine_similarity(render, photo, dim=1, eps=1e-8)).mean()
    raise ValueError(f"there is no feature metric {metric!r}")


@dataclass(frozen=True)
class EmotionTruth:
    """What a picture was labelled with.

    Attributes:
        label: (B,) int64 class in the order of `EMOTIONS`; negative where there is none.
        valence: (B,) -1 to 1.
        arousal: (B,) -1 to 1.
    """

    label: Tensor
    valence: Tensor
    arousal: Tensor


def shaken(count: int, generator: torch.Generator | None = None) -> Tensor:
    """(count,) random weights, even in [0, 1], that then sum to 1: Toisoul's shake-shake, drawn anew for each batch."""
    weights = torch.rand(count, generator=generator) + torch.finfo(torch.float32).tiny
    return weights / weights.sum()


def expression_loss(log_probabilities: Tensor, label: Tensor) -> Tensor:
    """Cross-entropy, the mean over faces that have a label; 0 where none has.

    Args:
        log_probabilities: (B, 8).
        label: (B,) int64, negative where there is none.
    """
    chosen = log_probabilities.gather(1, label.clamp(min=0)[:, None])[:, 0]
    known = label >= 0
    return -torch.where(known, chosen, 0.0).sum() / known.sum().clamp(min=1)


def valence_arousal_losses(found: EmotionReadout, truth: EmotionTruth) -> dict[str, Tensor]:
    """The terms that shake-shake weighs: by name the mean square errors, 1 - mean of the PCCs, 1 - mean of the CCCs."""
    pairs = ((found.valence.flatten(), truth.valence), (found.arousal.flatten(), truth.arousal))
    squares = [functional.mse_loss(*pair) for pair in pairs]
    correlation, concordance = (1 - sum(measure(*pair) for pair in pairs) / 2 for measure in (pcc, ccc))
    return dict(zip(VALENCE_AROUSAL_TERMS, (*squares, correlation, concordance), strict=True))


def emotion_terms(found: EmotionReadout, truth: EmotionTruth, weights: Tensor | None = None) -> dict[str, Tensor]:
    """What emotion networks are trained by: `expression`, `valence_arousal`, and the terms that the latter mixes.

    Args:
        found: of the network.
        truth: the labels; valence and arousal are no numbers where there are none.
        weights: (4,) in the order of `VALENCE_AROUSAL_TERMS`; even by default, so that losses can be compared.
    """
    parts = _rated_losses(found, truth)
    terms = torch.stack([parts[name] for name in VALENCE_AROUSAL_TERMS])
    weights = torch.full_like(terms, 1 / len(terms)) if weights is None else weights.to(terms)
    return {
        "expression": expression_loss(found.log_probabilities, truth.label), "valence_arousal": (weights * terms).sum(),
        **parts,
    }  # fmt: skip


def _rated_losses(found: EmotionReadout, truth: EmotionTruth) -> dict[str, Tensor]:
    """The terms over the faces that have valence and arousal; 0 where none has."""
    rated = truth.valence.isfinite() & truth.arousal.isfinite()
    if not rated.any():
        return dict.fromkeys(VALENCE_AROUSAL_TERMS, found.valence.sum() * 0)
    known = EmotionTruth(truth.label[rated], truth.valence[rated], truth.arousal[rated])
    return valence_arousal_losses(EmotionReadout(*(part[rated] for part in found)), known)
