# SPDX-License-Identifier: GPL-3.0-or-later
"""Evaluations as they are typed, and the rows that they print."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backend.cli import main

QUICK = {"training": {"epochs": 8, "hidden": 48, "learning_rate": 2e-3}, "seed": 3}


def run(*arguments: object) -> int:
    """Run a sub-command of `mien train`; its exit code."""
    return main(["train", *map(str, arguments)])


def evaluate(tmp_path: Path, tables: dict[str, list[dict[str, object]]], *more: object, **settings: object) -> int:
    """Evaluate the rows of tables, quickly, from a file in `tmp_path` and into its folder `out`."""
    config = tmp_path / "evaluation.yaml"
    config.write_text(json.dumps({"tables": tables} | QUICK | settings))  # JSON is YAML
    return run("evaluate-emotion", "--config", config, "--out", tmp_path / "out", "--device", "cpu", *more)


def told(capsys: pytest.CaptureFixture[str], table: int = 0) -> dict[str, dict[str, float | None]]:
    """The measured rows of a table that was printed as JSON, by their names."""
    said = json.loads(capsys.readouterr().out)
    return {row["method"]: row["values"] for row in said["tables"][table]["rows"] if row["row"] == "measured"}
