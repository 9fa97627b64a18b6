# SPDX-License-Identifier: GPL-3.0-or-later
"""A package index of tiny wheels, so that environments are really made, in seconds and without a network."""

from __future__ import annotations

import base64
import hashlib
import os
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest


@dataclass
class Recorder:
    """A progress that remembers."""

    steps: list[tuple[str, float, str]] = field(default_factory=list)

    def __call__(self, stage: str, done: float, message: str = "") -> None:
        self.steps.append((stage, done, message))

    def check_cancelled(self) -> None:
        """Never cancelled."""

    @property
    def messages(self) -> list[str]:
        return [message for _, _, message in self.steps]


@dataclass(frozen=True)
class WheelIndex:
    """A folder of wheels that pip is pointed at."""

    folder: Path

    def add(self, name: str, version: str, body: str = "") -> None:
        """Put a package with one module into the index."""
        info = f"{name}-{version}.dist-info"
        files = {
            f"{name}.py": body or f"VERSION = {version!r}\n",
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        record = [
            f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b'=').decode()},"
            f"{len(text.encode())}"
            for path, text in files.items()
        ]
        files[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,"]) + "\n"
        with zipfile.ZipFile(self.folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
            for path, text in files.items():
                wheel.writestr(path, text)


@pytest.fixture
def progress() -> Recorder:
    """A progress that remembers its steps."""
    return Recorder()


@pytest.fixture
def bare_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the settings of this machine's pip."""
    for name in list(os.environ):
        if name.startswith("PIP_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)


@pytest.fixture
def index(tmp_path: Path, bare_pip: None, monkeypatch: pytest.MonkeyPatch, mien_home: Path) -> WheelIndex:
    """An index of our own, the only one that pip sees."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", folder.as_uri())
    return WheelIndex(folder)
