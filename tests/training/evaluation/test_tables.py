# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tables say is what the metrics say, and what nobody entered is left open."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from blender_addon.contract.errors import MienError
from tests.fabricated_codes import fabricated, label_rows, write_labels
from training.evaluation.labels import LabelFile
from training.evaluation.published import KINDS, SHIPPED, TABLES, read_published
from training.evaluation.scores import COLUMNS, Predictions, Said, Scores, mean_scores, read_predictions, score
from training.evaluation.tables import NOT_ENTERED, NOT_TOLD, as_csv, as_markdown, as_text, as_values, make_table
from training.metrics import agreement, classification


def said_of(count: int, seed: int = 0) -> Said:
    random = np.random.default_rng(seed)
    classes = random.normal(size=(count, 8))
    classes -= np.log(np.exp(classes).sum(1, keepdims=True))
    return Said(*random.uniform(-1, 1, (2, count)).astype(np.float32), classes.astype(np.float32))


def test_scores_are_the_metrics() -> None:
    labels = fabricated(10, 5).labels
    labels.label[::7] = -1
    labels.valence[::5] = labels.arousal[::5] = np.nan
    said = said_of(50)
    found = score(said, labels)
    rated = np.isfinite(labels.valence)
    for letter, ours, truth in (("V", said.valence, labels.valence), ("A", said.arousal, labels.arousal)):
        known = agreement(ours[rated], truth[rated])
        for name in ("pcc", "ccc", "rmse", "sagr"):
            assert found.values[f"{letter}-{name.upper()}"] == getattr(known, name)
    assert found.values["E-ACC"] == classification(said.log_probabilities.argmax(1), labels.label).accuracy
    assert set(found.values) == set(COLUMNS) and found.faces == 50
    silent = score(replace(said, log_probabilities=None), labels)
    assert "E-ACC" not in silent.values
    assert "V-PCC" not in score(said, replace(labels, valence=np.full(50, np.nan))).values


def test_means_are_over_folds() -> None:
    mean = mean_scores([Scores({"V-PCC": 0.2, "A-PCC": 0.1}, 10), Scores({"V-PCC": 0.4}, 30)])
    assert mean.values == {"V-PCC": pytest.approx(0.3)} and mean.faces == 40


def test_predictions_come_back_from_their_file(tmp_path: Path) -> None:
    table = fabricated(4, 3)
    labels = LabelFile(write_labels(tmp_path / "labels.csv", label_rows(table)[1:]))
    Predictions(table.names, said_of(12), table.labels, "").save(tmp_path / "said.npz")
    read = read_predictions(tmp_path / "said.npz", labels)
    assert read.names.tolist() == table.names[1:].tolist() and read.left_out[0].count == 1
    np.testing.assert_array_equal(read.said.log_probabilities, said_of(12).log_probabilities[1:])
    np.testing.assert_array_equal(read.labels.label, table.labels.label[1:])


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"arousal": None}, "no array 'arousal'"),
        ({"log_probabilities": np.zeros((12, 7))}, "with 7 numbers a face where 8 are expected"),
        ({"valence": np.full(12, np.nan)}, "'valence' that are not numbers"),
        ({"valence": np.zeros(3)}, "shape"),
    ],
)
def test_bad_predictions_are_refused(tmp_path: Path, arrays: dict[str, np.ndarray | None], reason: str) -> None:
    table = fabricated(4, 3)
    labels = LabelFile(write_labels(tmp_path / "labels.csv", label_rows(table)))
    said = {"names": table.names, "valence": np.zeros(12), "arousal": np.zeros(12)} | arrays
    np.savez(tmp_path / "said.npz", **{name: values for name, values in said.items() if values is not None})
    with pytest.raises(MienError, match=reason):
        read_predictions(tmp_path / "said.npz", labels)


def test_the_shipped_file_has_rows_and_no_figures() -> None:
    rows = read_published()
    assert {row.table for row in rows} == set(TABLES)
    assert not any(row.cells for row in rows)
    table = make_table("table1", {}, rows)
    text = as_text(table)
    assert f"{NOT_ENTERED} not entered: see docs/evaluation.md" in text
    assert all(cell == NOT_ENTERED for row in table.rows for cell in row.cells)


def test_a_measured_row_follows_its_published_one(tmp_path: Path) -> None:
    path = tmp_path / "published.csv"
    path.write_text(
        "table,method,V-PCC,E-ACC,source\ntable1,One,0.50,,a paper\ntable1,EMOCA,0.25,0.125,made up for a test\n"
    )
    values = {"V-PCC": 0.123456789, "E-ACC": 2 / 3}
    table = make_table("table1", {"new": Scores({}, 3), "emoca": Scores(values, 7)}, read_published(path), ["A note."])
    assert [(row.method, row.origin) for row in table.rows] == [
        ("One", "published"), ("EMOCA", "published"), ("emoca", "measured"), ("new", "measured")
    ]  # fmt: skip
    lines = as_text(table).splitlines()
    assert lines[3].split() == ["One", "published", "0.50", *[NOT_ENTERED] * 8]
    assert lines[5].split() == ["emoca", "measured", "7", "0.123", *[NOT_TOLD] * 7, "0.667"]
    assert lines[7] == "A note." and "EMOCA: made up for a test" in lines
    read = list(csv.DictReader(io.StringIO(as_csv([table]))))
    assert float(read[2]["V-PCC"]) == values["V-PCC"] and read[2]["V-CCC"] == "" and read[1]["E-ACC"] == "0.125"
    assert as_values(table)["rows"][2]["values"]["E-ACC"] == 2 / 3
    assert as_values(table)["rows"][0]["values"]["E-ACC"] is None
    marked = as_markdown(table).splitlines()
    assert marked[0].startswith("## Table 1") and len({line.count("|") for line in marked[2:8]}) == 1


def test_the_table_of_clips_has_no_classes() -> None:
    assert "E-ACC" not in KINDS["afew-va"].columns
    table = make_table("afew-va", {"a": Scores({"V-PCC": 0.5, "E-ACC": 0.5}, 7)}, read_published())
    assert len(table.rows[-1].cells) == 8


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("table1,EMOCA,0.5,", "figures without a source in line 2"),
        ("table1,EMOCA,high,x", "'high' for V-PCC, which is not a number, in line 2|'high' for V-PCC"),
        ("table9,EMOCA,0.5,x", "a table 'table9' in line 2"),
        ("table1,,0.5,x", "no method in line 2"),
        ("table1,EMOCA,,\ntable1,emoca,,", "has 'emoca' twice in table1"),
    ],
)
def test_published_files_are_checked(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "published.csv"
    path.write_text(f"table,method,V-PCC,source\n{text}\n")
    with pytest.raises(MienError, match=reason):
        read_published(path)


def test_the_shipped_file_has_all_columns() -> None:
    header = SHIPPED.read_text(encoding="utf-8").splitlines()[0]
    assert header == ",".join(("table", "method", *COLUMNS, "source"))
