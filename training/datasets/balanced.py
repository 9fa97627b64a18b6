# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights that make every class of emotion come equally often."""

from __future__ import annotations

import numpy as np

from blender_addon.contract.errors import ErrorCode, MienError
from training.datasets.faces import Faces
from training.datasets.together import Together


def class_weights(labels: np.ndarray) -> np.ndarray:
    """(N,) 1 / size of each item's class for labels (N,); 0 for items without a class (negative)."""
    classes, which, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    return np.where(classes < 0, 0, 1 / sizes)[which]


def balanced_weights(dataset: Faces) -> np.ndarray:
    """(N,) how often each item of a dataset is to be drawn so that all its classes come equally often.

    In datasets of a list that have weights, classes are even within each, and the datasets come as their weights say.

    Raises:
        MienError: USAGE where no item has a label.
    """
    if isinstance(dataset, Together) and dataset.weights is not None:
        parts = [balanced_weights(part) for part in dataset.datasets]
        return np.concatenate([weight * part / part.sum() for weight, part in zip(dataset.weights, parts, strict=True)])
    weights = class_weights(dataset.labels())
    if not weights.any():
        message = "Classes cannot be balanced: no item of the dataset has a label."
        raise MienError(ErrorCode.USAGE, message, "Set balanced to false, or take a dataset with labels of emotions.")
    return weights
