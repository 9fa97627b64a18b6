# SPDX-License-Identifier: GPL-3.0-or-later
"""Measured rows on disk, each with a hash of all that it depends on, so that it is measured once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType

import numpy as np

from backend.networks.emotion import EmotionMLP
from backend.outputs import write_json, write_together
from blender_addon.contract.files import make_folder
from training.evaluation.codes import CodeTable
from training.evaluation.labels import Labels
from training.evaluation.mlp import save_mlp
from training.evaluation.scores import Predictions, Scores, mean_scores

RESULT = "result.json"
PREDICTIONS = "predictions.npz"


@dataclass(frozen=True)
class Measured:
    """A row.

    Attributes:
        pooled: over all faces at once.
        folds: of each fold; empty where there are none.
        about: how it came about, for the result's file.
        kept: whether it was measured before.
    """

    pooled: Scores
    folds: tuple[Scores, ...]
    about: Mapping[str, object]
    kept: bool = False

    def scores(self, folds_as: str) -> Scores:
        """What stands in the table: the mean over folds, or over all faces (`pooled`)."""
        return mean_scores(self.folds) if self.folds and folds_as == "mean" else self.pooled


def fingerprint_of(about: Mapping[str, object], known: CodeTable | Predictions, inputs: np.ndarray) -> str:
    """Hash of all that the result depends on."""
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    arrays = [inputs, *(getattr(known.labels, field.name) for field in fields(Labels))]
    if isinstance(known, Predictions):
        said = known.said
        arrays += [each for each in (said.valence, said.arousal, said.log_probabilities) if each is not None]
    for array in arrays:
        digest.update(f"{array.dtype.kind} {array.shape} ".encode())
        digest.update("\0".join(array.tolist()).encode() if array.dtype.kind == "U" else np.ascontiguousarray(array))
    return digest.hexdigest()


def hash_of_network(network: EmotionMLP) -> str:
    """Of its weights."""
    digest = hashlib.sha256()
    for name, values in network.state_dict().items():
        digest.update(name.encode())
        digest.update(values.numpy())
    return digest.hexdigest()


def kept(path: Path, fingerprint: str) -> Measured | None:
    """What was measured before; None where nothing was, or of something else."""
    try:
        content = json.loads(path.read_bytes())
        if content["fingerprint"] != fingerprint:
            return None
        several = (content["pooled"], *content["folds"])
        scores = [Scores(MappingProxyType(one["values"]), one["faces"]) for one in several]
    except (OSError, ValueError, KeyError, TypeError):  # none, or a damaged one: it is measured anew
        return None
    return Measured(scores[0], tuple(scores[1:]), MappingProxyType(content["about"]), kept=True)


def keep(
    folder: Path, measured: Measured, fingerprint: str, said: Predictions, networks: Sequence[EmotionMLP]
) -> None:
    """Write the result, what was said of each face, and the networks: all of them or none.

    Raises:
        MienError: NO_SPACE, NOT_PERMITTED, MISSING_FILE.
    """
    make_folder(folder)
    content = {
        "fingerprint": fingerprint,
        "pooled": _values(measured.pooled),
        "folds": [_values(one) for one in measured.folds],
        "about": dict(measured.about),
    }
    names = ["mlp.ckpt"] if len(networks) == 1 else [f"mlp.fold{number + 1}.ckpt" for number in range(len(networks))]
    files: dict[Path, Callable[[Path], None]] = {
        folder / name: lambda path, network=network: save_mlp(network, path)
        for name, network in zip(names, networks, strict=True)
    }
    files |= {folder / PREDICTIONS: said.save, folder / RESULT: lambda path: write_json(path, content)}
    write_together(files)


def _values(scores: Scores) -> dict[str, object]:
    return {"faces": scores.faces, "values": dict(scores.values)}
