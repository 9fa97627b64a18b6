# SPDX-License-Identifier: GPL-3.0-or-later
"""The extension's zip: built, valid by Blender's own tool, and installed in a clean process."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from blender_addon.contract.version import VERSION
from scripts import build_extension
from scripts.build_extension import ExtensionError

_INSTALL = """
import importlib, json, os, pathlib, sys
import bpy
bpy.ops.extensions.package_install_files(
    filepath=sys.argv[1], repo="user_default", enable_on_install=True, overwrite=True
)
name = "bl_ext.user_default.mien"
module = importlib.import_module(name)
report = {"enabled": name in bpy.context.preferences.addons}
folders = pathlib.Path(os.environ["BLENDER_USER_RESOURCES"]).glob("extensions/.local/lib/python3.*/site-packages/*")
report["unpacked"] = [folder.name for folder in folders]
report["operator"] = hasattr(bpy.types, "MIEN_OT_capture_face")
report["panels"] = sorted(n for n in dir(bpy.types) if n.startswith("MIEN_PT_"))
bpy.ops.preferences.addon_disable(module=name)
report["left"] = [n for n in dir(bpy.types) if n.startswith(("MIEN_OT_", "MIEN_PT_"))]
print("REPORT" + json.dumps(report))
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    """The built zip; needs the wheels in the cache or pip to reach its index."""
    return build_extension.build(tmp_path_factory.mktemp("dist"), repository / "build" / "wheels")


def test_blenders_own_tool_accepts_it(package: Path) -> None:
    validator = build_extension.blender_validator()
    assert validator is not None
    build_extension.validate_with_blender(validator, package)


def test_it_holds_the_addon_and_nothing_else(package: Path) -> None:
    names = zipfile.ZipFile(package).namelist()
    assert {"__init__.py", "blender_manifest.toml", "LICENSE", "contract/version.py", "ui/__init__.py"} <= set(names)
    assert "character/rigify.json" in names
    assert not [name for name in names if name.startswith(("backend", "tests")) or name == "headless.py"]
    assert package.name == f"mien-{VERSION}.zip"
    assert package.stat().st_size < 12e6


def test_building_twice_gives_the_same_bytes(package: Path, repository: Path, tmp_path: Path) -> None:
    again = build_extension.build(tmp_path, repository / "build" / "wheels")
    assert again.read_bytes() == package.read_bytes()


def test_it_installs_in_a_clean_blender(package: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "BLENDER_USER_RESOURCES": str(tmp_path), "MIEN_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-c", _INSTALL, str(package)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
    lines = [line for line in done.stdout.splitlines() if line.startswith("REPORT")]
    assert lines, done.stdout + done.stderr
    report = json.loads(lines[0].removeprefix("REPORT"))
    assert report["enabled"] and report["operator"] and report["panels"]
    assert report["left"] == []
    assert {"zmq", "msgpack"} <= set(report["unpacked"])


def _problems(**changes: Any) -> list[str]:
    manifest = copy.deepcopy(build_extension.read_manifest(build_extension.ROOT / build_extension.MANIFEST))
    manifest.update(changes)
    return build_extension.manifest_problems(manifest, VERSION, build_extension.read_wheel_lock())


def test_the_manifest_is_right() -> None:
    assert _problems() == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"version": "9.9.9"}, "9.9.9"),
        ({"tags": ["Faces"]}, "Faces"),
        ({"platforms": ["linux-x64", "linux"]}, "platforms"),
        ({"license": ["MIT"]}, "licence"),
        ({"tagline": "A tagline that ends in punctuation."}, "punctuation"),
        ({"permissions": {"camera2": "x"}}, "camera2"),
        ({"blender_version_min": "4.1.0"}, "oldest"),
        ({"wheels": []}, "wheel"),
    ],
)
def test_mistakes_in_the_manifest_are_found(changes: dict[str, Any], words: str) -> None:
    assert any(words in problem for problem in _problems(**changes))


def test_a_wheel_with_the_wrong_hash_is_refused(package: Path) -> None:
    lock = dict.fromkeys(build_extension.read_wheel_lock(), "0" * 64)
    with pytest.raises(ExtensionError, match="hash"):
        build_extension.check_zip(package, lock)
