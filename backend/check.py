# SPDX-License-Identifier: GPL-3.0-or-later
"""The sub-command `check`: the state of each part, and what to do about those that are missing."""

from __future__ import annotations

import importlib
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from backend.setup.interpreters import find_interpreter
from backend.setup.pip_runner import modules_to_load
from backend.setup.runtime import ENVIRONMENT, lock_files
from backend.setup.stamp import is_ready
from backend.terminal import put
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.places import data_dir, models_dir, read_backend_record
from blender_addon.contract.version import VERSION

ROOT = Path(__file__).resolve().parents[1]
_LOW_SPACE = 2 << 30


@dataclass(frozen=True)
class Finding:
    """The state of one part.

    Attributes:
        part: What it is.
        good: Whether captures work with it as it is.
        state: What was found.
    """

    part: str
    good: bool
    state: str


def check() -> None:
    """Print the state of each part.

    Raises:
        MienError: SETUP_FAILED when a part that captures need is missing.
    """
    findings = [_guarded(part, look) for part, look in _PARTS]
    width = max(len(finding.part) for finding in findings)
    for finding in findings:
        put(f"{'ok     ' if finding.good else 'MISSING'}  {finding.part:{width}}  {finding.state}")
    if missing := [finding.part for finding in findings if not finding.good]:
        message = f"Not ready: {', '.join(missing)}."
        raise MienError(ErrorCode.SETUP_FAILED, message, "Run 'python3 scripts/mien.py setup', then check again.")


def _guarded(part: str, look: Callable[[], tuple[bool, str]]) -> Finding:
    try:
        return Finding(part, *look())
    except (MienError, ImportError) as error:
        return Finding(part, False, str(error))


def _python() -> tuple[bool, str]:
    return True, f"Mien {VERSION} on Python {platform.python_version()}, {sys.executable}"


def _environment() -> tuple[bool, str]:
    folder = ROOT / ENVIRONMENT
    if not Path(sys.executable).is_relative_to(folder):
        return True, f"an environment of your own ({sys.prefix})"
    ready = is_ready(folder, lock_files(ROOT))
    return ready, f"{folder}" if ready else f"{folder} is not what the lock asks for"


def _packages() -> tuple[bool, str]:
    modules = [module for lock in lock_files(ROOT) for module in modules_to_load(lock)]
    for module in modules:
        importlib.import_module(module)
    return True, f"{', '.join(modules)} load"


def _extras() -> tuple[bool, str]:
    from backend.faces.fan import fan_installed, fan_weights
    from backend.networks.onnx import onnx_installed, onnxruntime_version
    from backend.rendering.rasterisers import choose_rasteriser

    onnx = f"onnxruntime {onnxruntime_version()}" if onnx_installed() else "no onnxruntime (setup --onnx)"
    fan = "no face-alignment (setup --fan)"
    if fan_installed():
        fan = f"face-alignment, {'with' if fan_weights() else 'without'} the weights of FAN"
    return True, f"{onnx}; {fan}; training renders by {choose_rasteriser('auto', 'cpu').name} on the CPU"


def _device() -> tuple[bool, str]:
    from backend.device import choose_device, device_label

    return True, device_label(choose_device("auto"))


def _landmark_model() -> tuple[bool, str]:
    from backend.weights.fetch import sha256_of
    from backend.weights.landmarker import FILE_NAME, SHA256

    path = models_dir() / FILE_NAME
    if not path.exists():
        return False, f"{path} is not there yet"
    good = sha256_of(path) == SHA256
    return good, f"{path}" if good else f"{path} is not the right file (its hash differs)"


def _record() -> tuple[bool, str]:
    record = read_backend_record()
    if record is None:
        return False, "Blender does not know yet where the backend is"
    return Path(record.python).exists(), f"{record.python} in {record.root}, version {record.version}"


def _blender() -> tuple[bool, str]:
    from backend.blender_programs import find_blender

    if program := find_blender():
        return True, f"{program.release}, {program.path}"
    if interpreter := find_interpreter((3, 11)):
        return True, f"none found; --blend installs bpy 4.2 for {interpreter.path}"
    return True, "none found, and no Python 3.11 to run bpy with: --blend will not work"


def _space() -> tuple[bool, str]:
    place = next(folder for folder in (data_dir(), *data_dir().parents) if folder.exists())
    free = shutil.disk_usage(place).free
    return free >= _LOW_SPACE, f"{free / (1 << 30):.0f} GiB free for {data_dir()}"


_PARTS: tuple[tuple[str, Callable[[], tuple[bool, str]]], ...] = (
    ("mien", _python),
    ("environment", _environment),
    ("packages", _packages),
    ("extras", _extras),
    ("device", _device),
    ("landmark model", _landmark_model),
    ("record", _record),
    ("Blender", _blender),
    ("disk", _space),
)
