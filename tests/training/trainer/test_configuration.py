# SPDX-License-Identifier: GPL-3.0-or-later
"""Configurations: what is read, extended and changed, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from blender_addon.contract.errors import ErrorCode, MienError
from training.trainer.configuration import merged, read_configuration, shipped_configurations


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


BASE = """
stage: emotion-network
model: {backbone: mobilenet_small, weights: {expression: 1, valence_arousal: 2}}
data:
  train: {kind: synthetic, people: 2, pictures: 1}
  validation: {kind: synthetic, people: 1, pictures: 1}
"""


@pytest.mark.parametrize("name", shipped_configurations())
def test_all_shipped_configurations_can_be_read(name: str) -> None:
    configuration, _ = read_configuration(name)
    assert configuration.trainer.batch > 0


def test_a_file_extends_another_and_the_command_line_changes_both(tmp_path: Path) -> None:
    write(tmp_path, "base.yaml", BASE)
    path = write(tmp_path, "mine.yaml", "extends: base.yaml\nmodel: {weights: {expression: 3}}\nseed: 4\n")
    configuration, table = read_configuration(path, ["trainer.batch=5", "optimiser.learning_rate=5e-5", "seed=7"])
    assert configuration.model["weights"] == {"expression": 3, "valence_arousal": 2}
    assert (configuration.seed, configuration.trainer.batch, configuration.optimiser.learning_rate) == (7, 5, 5e-5)
    assert table["data"]["train"]["people"] == 2


def test_null_takes_away_what_is_below(tmp_path: Path) -> None:
    write(tmp_path, "base.yaml", BASE + "start: {backbone: a.ckpt, faces: b}\n")
    path = write(tmp_path, "mine.yaml", "extends: base\nstart: {faces: null}\n")
    assert read_configuration(path)[0].start == {"backbone": "a.ckpt"}
    assert read_configuration(path, ["start.backbone=null"])[0].start == {}
    assert merged({"a": 1}, {"a": None}) == {}


@pytest.mark.parametrize(("text", "devices"), [("auto", "auto"), ("0,1", "0,1"), ("2", 2), ("'2'", "2"), ("-1", -1)])
def test_devices_are_a_number_or_a_text(tmp_path: Path, text: str, devices: int | str) -> None:
    path = write(tmp_path, "base.yaml", BASE)
    assert read_configuration(path, [f"trainer.devices={text}"])[0].trainer.devices == devices
    assert read_configuration(path)[0].trainer.devices == "auto"


@pytest.mark.parametrize(
    ("change", "place", "said"),
    [
        ("trainer.batches=3", "trainer.batches", "is not a setting"),
        ("trainer.batch=many", "trainer.batch", "not a whole number"),
        ("trainer.batch=true", "trainer.batch", "not a whole number"),
        ("trainer.devices=[1]", "trainer.devices", "is [1]"),
        ("trainer.devices=true", "trainer.devices", "is True"),
        ("trainer.precision=8", "trainer.precision", "is 8"),
        ("optimiser.learning_rate=fast", "optimiser.learning_rate", "not a number"),
        ("trainer.batch=0", "trainer.batch", "is 0"),
        ("trainer.steps=0", "trainer.steps", "is 0"),
        ("trainer.epochs=-1", "trainer.epochs", "is -1, as are the steps"),
        ("trainer.validate_every=3", "trainer.validate_every", "is 3"),
        ("trainer.strategy=ddp_spawn", "trainer.strategy", "loses the state"),
        ("optimiser.learning_rate=0", "optimiser.learning_rate", "is 0"),
        ("optimiser.weight_decay=-1", "optimiser.weight_decay", "is -1"),
        ("seed=-1", "seed", "is -1"),
        ("optimiser=3", "optimiser", "not a table"),
        ("data.train=null", "data.train", "is missing"),
        ("start=[1]", "start", "not a table"),
    ],
)
def test_wrong_settings_are_named_with_their_place(tmp_path: Path, change: str, place: str, said: str) -> None:
    path = write(tmp_path, "base.yaml", BASE)
    with pytest.raises(MienError) as error:
        read_configuration(path, [change])
    assert error.value.code is ErrorCode.USAGE
    assert f"'{place}'" in error.value.message and said in error.value.message
    assert error.value.remedy


@pytest.mark.parametrize("change", ["trainer.batch", "=3", "trainer..batch=2"])
def test_what_is_no_change_is_refused(tmp_path: Path, change: str) -> None:
    with pytest.raises(MienError, match="changes no setting"):
        read_configuration(write(tmp_path, "base.yaml", BASE), [change])


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MienError, match="no configuration") as error:
        read_configuration("no_such_thing")
    assert error.value.code is ErrorCode.MISSING_FILE and "emoca_coarse" in error.value.remedy
    with pytest.raises(MienError, match="is not YAML"):
        read_configuration(write(tmp_path, "a.yaml", "a: [1"))
    with pytest.raises(MienError, match="holds no table"):
        read_configuration(write(tmp_path, "b.yaml", "- 1"))
    with pytest.raises(MienError, match="extends itself"):
        read_configuration(write(tmp_path, "c.yaml", "extends: c.yaml"))


def test_a_configuration_of_another_stage_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MienError, match="emotion-network, not emoca-coarse") as error:
        read_configuration(write(tmp_path, "base.yaml", BASE), [], "emoca-coarse")
    assert "mien train emotion-network" in error.value.remedy
