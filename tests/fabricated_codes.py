# SPDX-License-Identifier: GPL-3.0-or-later
"""Codes in which emotion can be read, or cannot, with their labels: what the judging of methods is tested on."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from blender_addon.contract.models import EMOTIONS
from training.evaluation.codes import CodeTable, Group
from training.evaluation.labels import COLUMNS, Labels
from training.synthetic.emotions import PLACES

FLAME_WIDTHS: dict[Group, int] = {"identity": 100, "expression": 50, "jaw": 3}
_PLACES = np.array([PLACES[name] for name in EMOTIONS])


def fabricated(
    people: int = 60,
    faces: int = 8,
    *,
    told: float = 1.0,
    widths: dict[Group, int] | None = None,
    method: str = "emoca",
    seed: int = 0,
    test_share: float = 0.3,
) -> CodeTable:
    """Codes of people who show each a few emotions.

    Args:
        people: how many.
        faces: of each.
        told: how strongly the expression follows the emotion; 0 for not at all. The identity never does.
        widths: of the groups.
        method: whose codes.
        seed: of everything.
        test_share: of the people that are for testing.
    """
    random = np.random.default_rng(seed)
    widths = dict(widths or FLAME_WIDTHS)
    count = people * faces
    person = np.repeat(np.arange(people), faces)
    label = random.integers(len(EMOTIONS), size=count)
    strength = random.uniform(0.5, 1, count)
    valence, arousal = np.clip((_PLACES[label] * strength[:, None] + random.normal(0, 0.05, (count, 2))).T, -1, 1)
    groups = []
    for group, width in widths.items():
        if group == "identity":
            values = random.normal(size=(people, width))[person]
        else:
            direction = np.random.default_rng(width).normal(size=(len(EMOTIONS), width))
            shown = group in ("expression", "codes")
            values = told * shown * strength[:, None] * direction[label] + random.normal(0, 0.5, (count, width))
        groups.append(values)
    split = np.where(person < people * (1 - test_share), "train", "test")
    labels = Labels(label.astype(np.int64), *(each.astype(np.float32) for each in (valence, arousal)),
                    np.array([f"person{each:03d}" for each in person]), split)  # fmt: skip
    names = np.array([f"{number // 100}/face{number:05d}.jpg" for number in range(count)])
    return CodeTable(method, names, widths, np.concatenate(groups, 1).astype(np.float32), labels, "made up")


def write_labels(path: Path, rows: Sequence[dict[str, object]], columns: Sequence[str] = COLUMNS) -> Path:
    """A csv of labels; cells that a row does not name are empty."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [c for c in columns if any(c in row for row in rows)], restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


def label_rows(table: CodeTable, *, folds: bool = False) -> list[dict[str, object]]:
    """The labels of a table as rows of a csv; without the split where they are for cross-validation."""
    labels = table.labels
    rows = []
    for place, name in enumerate(table.names):
        row = {
            "file": name, "label": EMOTIONS[labels.label[place]], "valence": repr(float(labels.valence[place])),
            "arousal": repr(float(labels.arousal[place])), "subject": labels.subject[place],
        }  # fmt: skip
        rows.append(row if folds else row | {"split": labels.split[place]})
    return rows
