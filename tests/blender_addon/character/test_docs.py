# SPDX-License-Identifier: GPL-3.0-or-later
"""The document of profiles says what the code does."""

from __future__ import annotations

import dataclasses
import json
import re

import pytest

from blender_addon.character.profile import BoneTarget, KeyTarget, Profile, Row
from blender_addon.character.profile_file import load_profile
from blender_addon.character.sources import MOTIONS
from blender_addon.contract.vrm import RULES


@pytest.fixture
def text(repository):
    return (repository / "docs" / "characters.md").read_text(encoding="utf-8")


def test_every_entry_is_documented(text):
    renamed = {"rows": "channels", "response": "curve", "names": "bone"}
    for cls in (Profile, Row, BoneTarget):
        for field in dataclasses.fields(cls):
            assert f"`{renamed.get(field.name, field.name)}`" in text
    assert {field.name for field in dataclasses.fields(KeyTarget)} == {"name", "share"} and "`key`" in text
    words = " ".join(re.findall(r"`([^`]*)`", text)).split()
    for word in (*MOTIONS, *RULES):
        assert word in words


def test_the_example_is_a_profile(text, tmp_path):
    (example,) = re.findall(r"```\n(\{.*?)```", text, re.S)
    (tmp_path / "example.json").write_text(example)
    profile = load_profile(tmp_path / "example.json")
    assert set(profile.rows) == set(json.loads(example)["channels"])
