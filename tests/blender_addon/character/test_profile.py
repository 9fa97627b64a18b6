# SPDX-License-Identifier: GPL-3.0-or-later
"""Profiles: what they do to values, and their files, also hostile ones."""

from __future__ import annotations

import json

import numpy as np
import pytest

from blender_addon.character.profile import BoneTarget, KeyTarget, Profile, Response, Row
from blender_addon.character.profile_file import MOST_BYTES, load_profile, save_profile, to_json
from blender_addon.character.rigify import rigify_profile
from blender_addon.contract.arkit import CHANNELS
from blender_addon.contract.errors import ErrorCode, MienError

FULL = Profile(
    "Mine",
    {
        "mouthSmileLeft": Row(1.5, -0.1, Response(0.5), True, (KeyTarget("smile", 2.0), KeyTarget("Grübchen"))),
        "browInnerUp": Row(response=Response(points=((0.0, 0.0), (0.5, 0.8), (1.0, 1.0)))),
        "jawOpen": Row(targets=(BoneTarget(("a", "b"), (0.0, -1.0, 0.2), (0.4, 0.0, 0.0), ("c",), 0.5),)),
        "eyeLeft": Row(0.5, targets=(BoneTarget(("eye.L",), pivot=("p", "q")),)),
        "cheekPuff": Row(use=False),
        "tongueOut": Row(targets=()),
    },
    "Z",
    True,
    True,
    True,
    (("lips.L",), ("lips.R", "lip_end.R")),
)


@pytest.mark.parametrize("profile", [Profile(), FULL, rigify_profile()])
def test_what_is_saved_is_loaded(tmp_path, profile):
    save_profile(tmp_path / "a.json", profile)
    assert load_profile(tmp_path / "a.json") == profile


def test_rows_that_say_nothing_are_left_out():
    assert to_json(Profile(rows={"jawOpen": Row()}))["channels"] == {}


def test_rigify_has_every_channel_or_a_turn_that_tells_it():
    rows = rigify_profile().rows
    left = [name for name in CHANNELS if name not in rows]
    assert left == [name for name in CHANNELS if name.startswith("eyeLook") or name == "jawOpen"]
    assert {"head", "jaw", "eyeLeft", "eyeRight"} <= set(rows)


def test_rigify_is_the_same_on_both_sides():
    def mirrored(names):
        swapped = (name.replace(".L", ".#").replace(".R", ".L").replace(".#", ".R") for name in names)
        return tuple(swapped)

    rows = rigify_profile().rows
    for source, row in rows.items():
        other = source.replace("Left", "#").replace("Right", "Left").replace("#", "Right")
        found = {
            BoneTarget(mirrored(t.names), (-t.move[0] + 0.0, *t.move[1:]), (0.0, 0.0, 0.0), mirrored(t.toward), t.share,
                       mirrored(t.pivot))
            for t in row.targets
        }  # fmt: skip
        assert found == {t if t.move[0] else BoneTarget(t.names, (0.0, *t.move[1:]), t.turn, t.toward, t.share, t.pivot)
                         for t in rows[other].targets}, source  # fmt: skip


def test_exponents_and_points():
    values = np.array([-0.25, 0.0, 0.25, 0.5, 1.0, 1.5])
    np.testing.assert_allclose(Response(0.5)(values), [-0.5, 0, 0.5, np.sqrt(0.5), 1, np.sqrt(1.5)])
    bent = Response(points=((0.0, 0.0), (0.5, 0.8), (1.0, 1.0)))(values)
    np.testing.assert_allclose(bent, [-0.4, 0, 0.4, 0.8, 1.0, 1.2])
    np.testing.assert_array_equal(Response()(values), values)


def test_gain_and_offset_follow_the_curve():
    row = Row(2.0, 0.1, Response(2.0))
    np.testing.assert_allclose(row.values(np.array([0.0, 0.5, 1.0])), [0.1, 0.6, 2.1])


def _text(**changes: object) -> str:
    return json.dumps({"schema": 1, "channels": {}, **changes})


def _row(**row: object) -> str:
    return _text(channels={"jawOpen": row})


@pytest.mark.parametrize(
    ("text", "cause", "says"),
    [
        ("", "json", "JSON"),
        ("{" * 100_000, "json", "JSON"),
        ("[" * 100_000, "json", "JSON"),
        ('{"schema": 1, "name": NaN}', "json", "JSON"),
        ("[]", "type", "table"),
        (_text(extra=1), "unknown", "'extra'"),
        (_text(name=3), "name", "name"),
        (_text(facing="up"), "facing", "'up'"),
        (_text(facing=["-Y"]), "facing", "faces"),
        (_text(place=1), "type", "'place'"),
        (_text(unit=["a"]), "unit", "unit"),
        (_text(unit=["a", 3]), "target", "names neither"),
        (_text(channels=[]), "type", "'channels'"),
        (_text(channels={"mouthOpen": {}}), "channel", "'mouthOpen'"),
        (_text(channels={"head": {"offset": 1}}), "channel", "'head'"),
        (_text(channels={"head": {"targets": [{"key": "a"}]}}), "target", "'head'"),
        (_row(gain="1"), "number", "gain '1'"),
        (_row(gain=True), "number", "gain"),
        (_row(gain=1e9), "number", "gain"),
        (_row(gain=10**400), "number", "gain"),
        (_row(offset=None), "number", "offset"),
        (_row(use=1), "type", "'use'"),
        (_row(speed=1), "unknown", "'speed'"),
        (_row(curve=0), "number", "exponent"),
        (_row(curve={}), "number", "exponent"),
        (_row(curve=[]), "curve", "curve"),
        (_row(curve=[[0, 0]]), "curve", "1 points"),
        (_row(curve=[[0, 0], [0, 1]]), "curve", "rise"),
        (_row(curve=[[0, 0], [1, "x"]]), "number", "curve"),
        (_row(curve=[[n, 0] for n in range(99)]), "curve", "99 points"),
        (_row(targets={}), "type", "'targets'"),
        (_row(targets=[3]), "type", "table"),
        (_row(targets=[{}]), "target", "names neither"),
        (_row(targets=[{"key": ""}]), "target", "short text"),
        (_row(targets=[{"key": "x" * 300}]), "target", "short text"),
        (_row(targets=[{"key": "a", "move": [0, 0, 0]}]), "unknown", "'move'"),
        (_row(targets=[{"bone": "a", "move": [0, 0]}]), "target", "three numbers"),
        (_row(targets=[{"bone": "a", "move": [0, 0, "x"]}]), "number", "amount"),
        (_row(targets=[{"bone": "a", "pivot": "b"}]), "target", "aims"),
        (_row(targets=[{"key": "a"}] * 99), "target", "more than"),
    ],
)  # fmt: skip
def test_bad_files_are_refused_by_name_and_entry(tmp_path, text, cause, says):
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(MienError) as caught:
        load_profile(path)
    error = caught.value
    assert (error.code, error.details["cause"]) == (ErrorCode.BAD_PROFILE, cause)
    assert str(path) in error.message and says in error.message
    assert ("'jawOpen'" in error.message) == ('"jawOpen"' in text)
    assert error.remedy.endswith(".") and len(error.message) < 400


def test_other_schemas_and_files_that_are_none(tmp_path):
    for content, code in (
        (b'{"schema": 2}', ErrorCode.UNKNOWN_SCHEMA),
        (b'{"schema": true}', ErrorCode.UNKNOWN_SCHEMA),
        (b"{}", ErrorCode.UNKNOWN_SCHEMA),
        (b"\xff\xfe\x00", ErrorCode.BAD_PROFILE),
        (b" " * (MOST_BYTES + 1), ErrorCode.TOO_LARGE),
    ):
        (tmp_path / "x.json").write_bytes(content)
        with pytest.raises(MienError) as caught:
            load_profile(tmp_path / "x.json")
        assert caught.value.code is code and "x.json" in caught.value.message
    with pytest.raises(MienError) as caught:
        load_profile(tmp_path / "gone.json")
    assert caught.value.code is ErrorCode.MISSING_FILE
