# SPDX-License-Identifier: GPL-3.0-or-later
"""The documents say what the code does."""

from __future__ import annotations

import dataclasses

import pytest

from blender_addon.contract import messages as m
from blender_addon.contract.options import CaptureOptions
from blender_addon.contract.take import TakeMeta
from tests.fake_takes import small_take


@pytest.mark.parametrize("name", m.TYPES)
def test_every_message_and_field_is_documented(repository, name):
    lines = (repository / "docs" / "protocol.md").read_text().splitlines()
    (row,) = [line for line in lines if line.startswith(f"| `{name}` |")]
    for field in dataclasses.fields(m.TYPES[name]):
        assert f"`{field.name}`" in row


def test_status_options_and_states_are_documented(repository):
    text = (repository / "docs" / "protocol.md").read_text()
    assert "{" + ", ".join(field.name for field in dataclasses.fields(m.JobStatus)) + "}" in text
    for word in [*(field.name for field in dataclasses.fields(CaptureOptions)), *m.JobState]:
        assert f"`{word}`" in text


def test_every_array_and_entry_of_a_take_is_documented(repository):
    text = (repository / "docs" / "take.md").read_text()
    names = [*small_take(extra={}).to_arrays()[1], *(field.name for field in dataclasses.fields(TakeMeta))]
    for name in names:
        assert f"`{name}`" in text
