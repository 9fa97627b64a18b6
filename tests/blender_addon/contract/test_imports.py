# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender imports the contract and the client at start-up: they stay light and free of what may be missing there."""

from __future__ import annotations

import subprocess
import sys

import pytest

import blender_addon.contract
from blender_addon.contract.version import VERSION

ABSENT = ("bpy", "torch", "msgpack", "zmq", "scipy", "backend")


def loaded_by(statement: str, repository) -> set[str]:
    code = f"{statement}\nimport sys; print(' '.join(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=True)
    return set(run.stdout.split())


@pytest.mark.parametrize("module", ["blender_addon.contract.wire", "blender_addon.client.jobs"])
def test_importing_needs_no_wheels(repository, module):
    assert not loaded_by(f"import {module}", repository) & set(ABSENT)


def test_the_package_itself_loads_nothing(repository):
    assert "numpy" not in loaded_by("import blender_addon.contract, blender_addon.contract.places", repository)


def test_versions_are_plain():
    assert blender_addon.contract.__doc__
    assert [int(part) for part in VERSION.split(".")]
