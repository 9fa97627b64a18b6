# SPDX-License-Identifier: GPL-3.0-or-later
"""How well emotions are told: the measures of EMOCA's tables (Danecek et al. 2022, supplement), in float64."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from blender_addon.contract.models import EMOTIONS

Deviation = Literal["sample", "population"]
"""`sample` divides by n - 1, as the published training code does; `population` by n, as its evaluation with numpy."""


@dataclass(frozen=True)
class Agreement:
    """How well one quantity (valence or arousal) is told."""

    pcc: float
    """Pearson's correlation, -1 to 1."""
    ccc: float
    """Concordance (Lin 1989), -1 to 1."""
    rmse: float
    mae: float
    sagr: float
    """Share of samples whose sign is right, 0 to 1."""


@dataclass(frozen=True, eq=False)
class Classification:
    """How well expressions are told apart."""

    accuracy: float
    """Share of samples whose class is right, 0 to 1."""
    per_class: np.ndarray
    """(C,) share of each class's samples that is right; not a number for a class without samples."""
    confusion: np.ndarray
    """(C, C) int64 number of samples of the class of the row that were told as that of the column."""

    @property
    def mean_accuracy(self) -> float:
        """Mean over the classes that have samples."""
        return float(np.nanmean(self.per_class))


def agreement(predicted: np.ndarray, truth: np.ndarray, deviation: Deviation = "sample") -> Agreement:
    """All measures of (N,) or (N, 1) values in -1 to 1."""
    return Agreement(
        pcc(predicted, truth), ccc(predicted, truth, deviation), rmse(predicted, truth), mae(predicted, truth),
        sagr(predicted, truth),
    )  # fmt: skip


def pcc(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Pearson's correlation, the same for both deviations; 0 where either does not vary."""
    a, b = _pair(predicted, truth)
    a, b = a - a.mean(), b - b.mean()
    scale = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / scale) if scale > 0 else 0.0


def ccc(predicted: np.ndarray, truth: np.ndarray, deviation: Deviation = "sample") -> float:
    """Concordance: 2 cov / (var + var' + (mean - mean')^2); 0 where nothing varies and the means agree."""
    a, b = _pair(predicted, truth)
    divisor = max(len(a) - (deviation == "sample"), 1)
    apart = a.mean() - b.mean()
    a, b = a - a.mean(), b - b.mean()
    scale = (a @ a + b @ b) / divisor + apart**2
    return float(2 * (a @ b) / divisor / scale) if scale > 0 else 0.0


def rmse(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Root of the mean square error."""
    a, b = _pair(predicted, truth)
    return float(np.sqrt(((a - b) ** 2).mean()))


def mae(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Mean absolute error."""
    a, b = _pair(predicted, truth)
    return float(np.abs(a - b).mean())


def sagr(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Share of samples whose sign agrees; the sign of 0 is 0 and agrees with 0 alone."""
    a, b = _pair(predicted, truth)
    return float((np.sign(a) == np.sign(b)).mean())


def classification(predicted: np.ndarray, truth: np.ndarray, classes: int = len(EMOTIONS)) -> Classification:
    """Accuracy and confusion of classes.

    Args:
        predicted: (N,) int class of each sample.
        truth: (N,) int; samples with a negative one have no label and are left out.
        classes: how many there are.

    Raises:
        ValueError: a class beyond `classes`, arrays of different length, or no labelled sample.
    """
    predicted, truth = np.asarray(predicted), np.asarray(truth)
    if predicted.shape != truth.shape or predicted.ndim != 1:
        raise ValueError(f"classes are (N,) each, not {predicted.shape} and {truth.shape}")
    predicted, truth = predicted[truth >= 0], truth[truth >= 0]
    if not len(truth):
        raise ValueError("there is no labelled sample")
    if min(predicted.min(), truth.min()) < 0 or max(predicted.max(), truth.max()) >= classes:
        raise ValueError(f"classes are 0 to {classes - 1}")
    confusion = np.bincount(truth * classes + predicted, minlength=classes**2).reshape(classes, classes)
    total = confusion.sum(1)
    right = confusion.diagonal()
    per_class = np.divide(right, total, out=np.full(classes, np.nan), where=total > 0)
    return Classification(float(right.sum() / total.sum()), per_class, confusion.astype(np.int64))


def _pair(predicted: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as (N,) float64."""
    a, b = (np.asarray(values, np.float64).reshape(-1) for values in (predicted, truth))
    if len(a) != len(b) or not len(a):
        raise ValueError(f"predictions and truths are as many, and at least one, not {len(a)} and {len(b)}")
    return a, b
