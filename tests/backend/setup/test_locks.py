# SPDX-License-Identifier: GPL-3.0-or-later
"""The locks name every package that is installed, with one version each."""

from __future__ import annotations

import importlib.metadata
import re

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from backend.setup.bpy_environments import BPY_4_2, BPY_5_0, BPY_5_2
from backend.setup.pip_runner import modules_to_load, pinned_packages

BLENDERS = ["bpy-4.2.txt", "bpy-5.0.txt", "bpy-5.2.txt"]
LOCKS = ["runtime.txt", "onnx.txt", "fan.txt", "ray.txt", "test.txt", "bpy-test.txt", *BLENDERS]
PIN = re.compile(r"[A-Za-z0-9_.-]+==[0-9][A-Za-z0-9.]*")


def pins(folder, *names):
    return {
        canonicalize_name(name): version
        for lock in names
        for name, version in (line.split("==") for line in pinned_packages(folder / "locks" / lock))
    }


@pytest.mark.parametrize("name", LOCKS)
def test_every_line_is_an_exact_version(repository, name):
    lines = pinned_packages(repository / "locks" / name)
    assert lines
    assert [line for line in lines if not PIN.fullmatch(line)] == []
    assert modules_to_load(repository / "locks" / name)


@pytest.mark.parametrize("names", [("runtime.txt",), ("runtime.txt", "test.txt"), ("runtime.txt", "ray.txt")])
def test_nothing_is_left_to_chance(repository, names):
    """What the locked packages need is locked too, in a version that they accept."""
    locked = pins(repository, *names)
    for name, version in locked.items():
        for text in importlib.metadata.requires(name) or []:
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                wanted = canonicalize_name(needed.name)
                # A GPU build of torch names its libraries with exact versions itself.
                if name == "torch" and wanted not in locked and str(needed.specifier).startswith("=="):
                    continue
                assert wanted in locked, f"{name} {version} needs {text}"
                assert needed.specifier.contains(locked[wanted], prereleases=True), f"{name} {version} needs {text}"


def test_this_environment_has_the_locked_versions(repository):
    for name, version in pins(repository, "runtime.txt", "test.txt", "ray.txt").items():
        assert importlib.metadata.version(name).split("+")[0] == version, name


def test_packages_shared_by_the_processes_have_one_version(repository):
    runtime, test, blender = (pins(repository, name) for name in ("runtime.txt", "test.txt", "bpy-test.txt"))
    for name in ("pyzmq", "msgpack"):
        assert blender[name] == runtime[name]
    assert blender["pytest"] == test["pytest"]


@pytest.mark.parametrize("release", [BPY_4_2, BPY_5_0, BPY_5_2])
def test_each_bpy_release_has_its_lock(repository, release):
    assert pins(repository, f"{release.name}.txt")["bpy"].startswith(f"{release.blender[0]}.{release.blender[1]}.")


def test_no_second_opencv(repository):
    names = {name for name in pins(repository, "runtime.txt", "test.txt", "fan.txt") if name.startswith("opencv")}
    assert names == {"opencv-contrib-python"}


def test_extras_agree_with_the_other_locks(repository):
    others = pins(repository, "runtime.txt", "test.txt")
    for lock in ("fan.txt", "onnx.txt"):
        for name, version in pins(repository, lock).items():
            assert others.get(name, version) == version, name
