# SPDX-License-Identifier: GPL-3.0-or-later
"""The fabricated files have the names, shapes and types of the official ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from torch import Tensor

from tests.official_files import deca_state, emoca_state, mica_state, smirk_state

Keys = list[tuple[str, tuple[int, ...], str]]


def keys_of(state: Mapping[str, Tensor]) -> Keys:
    return sorted((name, tuple(t.shape), str(t.dtype).removeprefix("torch.")) for name, t in state.items())


def listed(rows: list) -> Keys:
    return sorted((name, tuple(shape), dtype) for name, shape, dtype in rows)


def described(table: dict) -> Keys:
    return sorted((name, tuple(entry["shape"]), entry["dtype"]) for name, entry in table.items())


def read(path: Path) -> dict:
    return json.loads(path.read_text())


def test_deca(parity: Path) -> None:
    known = read(parity / "emoca" / "deca_state_dict_keys.json")
    for name, state in deca_state().items():
        assert keys_of(state) == listed(known[name]), name


@pytest.mark.parametrize(
    ("layout", "options"),
    [
        ("EMOCA_v1_detail_with_bfm_texture", {"texture": True}),
        ("EMOCA_v1_detail_no_texture", {}),
        ("EMOCA_v2_detail_no_texture", {"mediapipe": True}),
    ],
)
def test_emoca(parity: Path, layout: str, options: dict) -> None:
    known = read(parity / "emoca" / "emoca_state_dict_keys.json")
    assert keys_of(emoca_state(**options)) == listed(known[layout])


def test_smirk(parity: Path) -> None:
    known = read(parity / "smirk" / "smirk_state_dict_keys.json")
    assert keys_of(smirk_state()) == described(known["tensors"])


def test_mica(parity: Path) -> None:
    state = mica_state()
    assert keys_of(state["arcface"]) == described(read(parity / "smirk" / "mica_arcface_keys.json"))
    mapping = {name.removeprefix("regressor."): tensor for name, tensor in state["flameModel"].items()}
    assert keys_of(mapping) == described(read(parity / "smirk" / "mica_mapping_keys.json"))
