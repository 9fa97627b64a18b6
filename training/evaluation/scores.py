# SPDX-License-Identifier: GPL-3.0-or-later
"""What emotion networks said of faces, and the numbers that the tables show of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from blender_addon.contract.files import write_npz
from blender_addon.contract.models import EMOTIONS
from training.evaluation.code_files import attach, numbers, read_arrays, rows_of, texts
from training.evaluation.codes import LeftOut, bad_codes
from training.evaluation.labels import LabelFile, Labels, as_texts
from training.metrics import agreement, classification

REGRESSION = ("V-PCC", "V-CCC", "V-RMSE", "V-SAGR", "A-PCC", "A-CCC", "A-RMSE", "A-SAGR")
COLUMNS = (*REGRESSION, "E-ACC")
"""Of the tables: valence, arousal, and the share of expressions that were told right."""

_TRUE = "true_"
"""Before the names of labels in files of predictions, where `valence` is what was said."""


@dataclass(frozen=True, eq=False)
class Said:
    """What a network said of N faces.

    Attributes:
        valence, arousal: (N,) float32.
        log_probabilities: (N, 8) float32 in the order of `EMOTIONS`; None where it tells no expressions.
    """

    valence: np.ndarray
    arousal: np.ndarray
    log_probabilities: np.ndarray | None = None

    def rows(self, chosen: np.ndarray) -> Said:
        """Of some faces, by index or mask."""
        classes = self.log_probabilities
        return Said(self.valence[chosen], self.arousal[chosen], None if classes is None else classes[chosen])


@dataclass(frozen=True)
class Scores:
    """How well emotions were told.

    Attributes:
        values: By the names of `COLUMNS`; a column is absent where there are no labels or predictions for it.
        faces: How many were judged.
    """

    values: Mapping[str, float]
    faces: int


@dataclass(frozen=True, eq=False)
class Predictions:
    """What was said of named faces, with the labels of those that have any.

    Attributes:
        names: (N,) text.
        said: Of the network.
        labels: What people said.
        source: The file.
        left_out: What was there and has no labels.
        own_labels: Whether the labels stood in the file as well.
    """

    names: np.ndarray
    said: Said
    labels: Labels
    source: str
    left_out: tuple[LeftOut, ...] = ()
    own_labels: bool = False

    def save(self, path: Path) -> None:
        """Write them with their labels, as `read_predictions` reads them.

        Raises:
            MienError: NO_SPACE, NOT_PERMITTED, MISSING_FILE.
        """
        said = {"valence": self.said.valence, "arousal": self.said.arousal}
        if self.said.log_probabilities is not None:
            said["log_probabilities"] = self.said.log_probabilities
        true = {_TRUE + name: values for name, values in self.labels.arrays().items()}
        write_npz(path, {"names": as_texts(self.names)} | said | true)


def score(said: Said, labels: Labels) -> Scores:
    """The measures of `training.metrics`, each over the faces that have its label."""
    values: dict[str, float] = {}
    rated, named = labels.rated, labels.label >= 0
    if rated.any():
        for letter, ours, theirs in (("V", said.valence, labels.valence), ("A", said.arousal, labels.arousal)):
            found = agreement(ours[rated], theirs[rated])
            measures = {"PCC": found.pcc, "CCC": found.ccc, "RMSE": found.rmse, "SAGR": found.sagr}
            values |= {f"{letter}-{name}": value for name, value in measures.items()}
    if named.any() and said.log_probabilities is not None:
        values["E-ACC"] = classification(said.log_probabilities.argmax(1), labels.label).accuracy
    return Scores(MappingProxyType(values), len(labels))


def mean_scores(several: Sequence[Scores]) -> Scores:
    """The mean over folds of each column that all folds have; the faces are those of all."""
    shared = [column for column in COLUMNS if all(column in scores.values for scores in several)]
    values = {column: float(np.mean([scores.values[column] for scores in several])) for column in shared}
    return Scores(MappingProxyType(values), sum(scores.faces for scores in several))


def read_predictions(path: Path, labels: LabelFile | None = None, *, shared: bool = False) -> Predictions:
    """What a network said: a `.npz` with `names`, `valence`, `arousal` (N,) and, where it tells expressions,
    `log_probabilities` (N, 8) in the order of `EMOTIONS`.

    The labels stand in it as well (`true_label`, `true_valence`, `true_arousal`, `true_subject`, `true_split`), or come
    from the table, which then counts alone.

    Args:
        path: The file.
        labels: Of the names.
        shared: Whether the table is of other files, too: where it has none of the names, those in the file count.

    Raises:
        MienError: MISSING_FILE, NOT_PERMITTED, TOO_LARGE; BAD_IMPORT; BAD_MANIFEST where no name has a label.
    """
    arrays = read_arrays(path)
    names = texts(path, arrays, "names", None)
    wanted = {"valence": 1, "arousal": 1}
    if "log_probabilities" in arrays:
        wanted["log_probabilities"] = len(EMOTIONS)
    if missing := [name for name in wanted if name not in arrays]:
        raise bad_codes(path, f"has no array '{missing[0]}'", "Write names, valence, arousal and log_probabilities.")
    found = {name: numbers(path, name, arrays[name], len(names), width) for name, width in wanted.items()}
    for name, values in found.items():
        if len(bad := np.flatnonzero(~np.isfinite(values).all(1))):
            reason = f"has '{name}' that are not numbers; the first are those of {names[bad[0]]}"
            raise bad_codes(path, reason, "Leave such faces out, or predict them anew.")
    true = {name.removeprefix(_TRUE): array for name, array in arrays.items() if name.startswith(_TRUE)}
    if labels and shared and true and all(row is None for row in rows_of(labels, names)):
        labels = None
    known, chosen, left_out = attach(path, true, names, labels)
    said = Said(found["valence"][:, 0], found["arousal"][:, 0], found.get("log_probabilities")).rows(chosen)
    return Predictions(names[chosen], said, known, str(path), left_out, own_labels=labels is None)
