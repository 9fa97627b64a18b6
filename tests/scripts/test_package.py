# SPDX-License-Identifier: GPL-3.0-or-later
"""What `pip install` gets: all code, the data files that it reads, and the `mien` command."""

from __future__ import annotations

import subprocess
import sys
import zipfile

from blender_addon.contract.version import VERSION


def test_wheel_holds_code_data_and_command(sources, tmp_path):
    packages = [path for package in ("backend", "blender_addon", "training") for path in (sources / package).rglob("*")]
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index"]
    command += ["-w", str(tmp_path), str(sources)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        info = f"mien-{VERSION}.dist-info"
        assert "mien = backend.cli:run" in archive.read(f"{info}/entry_points.txt").decode()
    for suffix in (".py", ".npz", ".npy", ".j2", ".json"):
        ours = {path.relative_to(sources).as_posix() for path in packages if path.suffix == suffix}
        assert ours
        assert ours <= names
    locks = {f"mien-{VERSION}.data/data/share/mien/locks/{path.name}" for path in (sources / "locks").glob("*.txt")}
    assert locks <= names
    assert {f"{info}/licenses/LICENSE", f"{info}/licenses/NOTICE"} <= names
