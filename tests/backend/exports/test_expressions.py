# SPDX-License-Identifier: GPL-3.0-or-later
"""Action units and VRM expressions: what they are made of, and what their files look like to others."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backend.exports.command import UDP
from backend.exports.facs import UNITS, action_units
from backend.exports.formats import SCENE_FORMATS, TAKE_FORMATS, export_take
from backend.exports.kinds import KINDS
from backend.exports.motion import HEADER as MOTION_HEADER
from backend.exports.vrm import expression_curves, read_vrm
from backend.exports.vrma import read_provenance, read_vrma
from blender_addon.contract.arkit import BLINKS, CHANNELS, JAW, JAW_OPEN
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.mixing import Mix
from blender_addon.contract.provenance import provenance
from blender_addon.contract.take import Take
from blender_addon.contract.vrm import LOOKS, VOWELS
from tests.arkit_takes import arkit_take

PY_FEAT = "01 02 04 05 06 07 09 10 11 12 14 15 17 20 23 24 25 26 28 43".split()
TABLES: dict[str, Mapping[str, Mix]] = {"FACS": UNITS, "vowels": VOWELS, "looks": LOOKS}


def only(**weights: float) -> Take:
    """A take of one frame with some of ARKit's channels and nothing else."""
    take = arkit_take(1)
    expression = np.array([[weights.get(name, 0.0) for name in take.meta.channels]], np.float32)
    return replace(
        take,
        expression=expression,
        eyelids=np.array([[weights.get(name, 0.0) for name in BLINKS]], np.float32),
        jaw=np.array([[weights.get(JAW, 0.0) * JAW_OPEN, 0, 0]], np.float32),
    )


def units(**weights: float) -> dict[str, float]:
    """The units above zero."""
    values = dict(zip(UNITS, action_units(only(**weights)).values[0], strict=True))
    return {name: pytest.approx(value, abs=1e-6) for name, value in values.items() if value > 1e-6}


def presets(**weights: float) -> dict[str, float]:
    """The presets above zero."""
    values = expression_curves(only(**weights)).presets
    return {name: pytest.approx(float(value[0]), abs=1e-6) for name, value in values.items() if value[0] > 1e-6}


def test_the_units_are_those_of_py_feat() -> None:
    assert tuple(UNITS) == tuple(f"AU{number}" for number in PY_FEAT)


@pytest.mark.parametrize("name", TABLES)
def test_tables_name_channels_of_arkit(name: str) -> None:
    for channel, made in TABLES[name].items():
        assert set(made.weights) <= set(CHANNELS), channel
        if not made.approximate:
            assert sum(made.weights.values()) == pytest.approx(1), channel


def test_units_of_some_faces() -> None:
    assert units(mouthSmileLeft=0.8, mouthSmileRight=0.4) == {"AU12": 0.6}
    assert units(eyeBlinkLeft=1.0, eyeBlinkRight=1.0) == {"AU43": 1.0}
    assert units(jawOpen=0.5) == {"AU25": 0.5, "AU26": 0.5}
    assert units(jawOpen=0.5, mouthClose=0.5) == {"AU26": 0.5}
    assert units(browInnerUp=1.0, browDownLeft=1.0) == {"AU01": 1.0, "AU04": 0.5}


def test_presets_of_some_faces() -> None:
    assert presets(eyeBlinkLeft=0.9, eyeBlinkRight=0.25) == {"blink": 0.25, "blinkLeft": 0.65}
    assert presets(eyeLookOutLeft=0.6, eyeLookInRight=0.6) == {"lookLeft": 0.6}
    assert presets(jawOpen=0.7) == {"aa": 0.7}
    assert presets(mouthFunnel=0.5, jawOpen=0.2) == {"oh": 0.5}


def test_emotions_only_where_the_take_has_them(tmp_path: Path) -> None:
    take = arkit_take(4)
    assert not {"happy", "sad"} & set(expression_curves(take).presets)
    felt = replace(take, extra={**take.extra, "emotion_happy": np.float32([0, 0.5, 2, 1])})
    back = read_vrm(export_take(felt, "vrm", tmp_path, "shot")[0])
    np.testing.assert_allclose(back.presets["happy"], [0, 0.5, 1, 1])
    assert "happy" in read_vrma(export_take(felt, "vrma", tmp_path, "shot")[0]).presets


def as_documented(table: Mapping[str, Mix]) -> str:
    """A table as docs/formats.md shows it: name, sum of channels, whether it is an approximation."""
    rows = []
    for name, made in table.items():
        terms = " + ".join(f"{weight:g} {channel}" for channel, weight in made.weights.items()).replace("+ -", "- ")
        rows.append(f"| `{name}` | {terms} | {'approximate' if made.approximate else ''} |")
    return "\n".join(rows)


@pytest.mark.parametrize("name", TABLES)
def test_the_tables_are_published_as_they_are(name: str, repository: Path) -> None:
    assert as_documented(TABLES[name]) in (repository / "docs" / "formats.md").read_text(encoding="utf-8")


def test_every_format_and_kind_is_described(repository: Path) -> None:
    page = (repository / "docs" / "formats.md").read_text(encoding="utf-8")
    words = set(re.findall(r"[\w-]+", " ".join(re.findall(r"`([^`]*)`", page))))
    assert {*TAKE_FORMATS, *SCENE_FORMATS, *KINDS, UDP} <= words
    assert {name for name in MOTION_HEADER if not name.startswith(("neck", "jaw", "left", "right"))} <= words


def test_a_vrma_is_a_gltf(tmp_path: Path) -> None:
    take = arkit_take(30)
    path = export_take(take, "vrma-arkit", tmp_path, "shot")[0]
    raw = path.read_bytes()
    magic, version, size, length, kind = struct.unpack_from("<4sIIII", raw)
    assert (magic, version, size, kind) == (b"glTF", 2, len(raw), 0x4E4F534A)
    document = json.loads(raw[20 : 20 + length])
    assert length % 4 == 0
    assert document["extensionsUsed"] == ["VRMC_vrm_animation"]
    extension = document["extensions"]["VRMC_vrm_animation"]
    assert extension["specVersion"] == "1.0"
    assert set(extension["expressions"]["custom"]) == set(CHANNELS)
    for name, entry in extension["expressions"]["custom"].items():
        assert document["nodes"][entry["node"]]["name"] == name
    accessors = document["accessors"]
    assert accessors[0]["min"] == [0.0]
    assert accessors[0]["max"] == [pytest.approx(29 / 24)]
    for accessor in accessors:
        view = document["bufferViews"][accessor["bufferView"]]
        width = {"SCALAR": 1, "VEC3": 3}[accessor["type"]]
        assert view["byteLength"] == 4 * width * accessor["count"]
        assert view["byteOffset"] % 4 == 0
        assert view["byteOffset"] + view["byteLength"] <= document["buffers"][0]["byteLength"]
    assert read_provenance(path) == provenance(take.meta)


def test_a_vrma_has_no_time_twice(tmp_path: Path) -> None:
    take = arkit_take(4, time=np.array([0.0, 0.5, 0.5, 1.0]))
    back = read_vrma(export_take(take, "vrma", tmp_path, "shot")[0])
    np.testing.assert_array_equal(back.time, [0.0, 0.5, 1.0])
    np.testing.assert_allclose(back.presets["blink"], expression_curves(take).presets["blink"][[0, 2, 3]], atol=1e-6)


@pytest.mark.parametrize("cut", [0, 3, 11, 200, -4])
def test_damaged_vrma(cut: int, tmp_path: Path) -> None:
    path = export_take(arkit_take(4), "vrma", tmp_path, "shot")[0]
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(MienError) as caught:
        read_vrma(path)
    assert caught.value.code is ErrorCode.BAD_IMPORT


@pytest.mark.parametrize(
    "text", ["", "[1]", "{", '{"time": []}', '{"time": [0], "presets": {"aa": ["x"]}, "custom": {}}']
)
def test_damaged_json(text: str, tmp_path: Path) -> None:
    path = tmp_path / "curves.json"
    path.write_text(text)
    with pytest.raises(MienError) as caught:
        read_vrm(path)
    assert caught.value.code is ErrorCode.BAD_IMPORT
