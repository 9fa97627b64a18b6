# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests inside Blender's Python module, where the add-on is installed as an extension in a temporary folder.

They need bpy, numpy, pyzmq, msgpack and pytest. What the backend has to say comes from another process, run with the
Python in $MIEN_BACKEND_PYTHON (which has torch); without it those tests are skipped.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

if importlib.util.find_spec("bpy") is None:
    collect_ignore_glob = ["test_*.py"]

PACKAGE = "bl_ext.user_default.mien"
FOLDER = Path(__file__).parent

sys.path.insert(0, str(FOLDER))  # for make_head, which scripts run by other Pythons import as well


_STATUS = pytest.StashKey[int]()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Remember how the tests ended."""
    session.config.stash[_STATUS] = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """End the process without taking bpy apart: as a Python module, 4.2 crashes there once add-ons of Blender's own
    (the glTF exporter, Rigify) were loaded. All results are written by now.
    """
    if "bpy" in sys.modules and _STATUS in config.stash:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(config.stash[_STATUS])


@pytest.fixture(scope="session")
def resources() -> Iterator[Path]:
    """Blender's user folder of this session, with the add-on in it; set before bpy is imported."""
    from blender_addon.contract.places import models_dir
    from scripts.build_extension import stage

    models = models_dir()
    with tempfile.TemporaryDirectory(prefix="mien-blender-") as folder:
        os.environ["BLENDER_USER_RESOURCES"] = folder
        home = Path(folder) / "mien-home"
        home.mkdir()
        if models.is_dir():  # verified files that were fetched before need not be fetched again
            shutil.copytree(models, home / "models")
        os.environ["MIEN_HOME"] = str(home)
        extensions = Path(folder) / "extensions" / "user_default"
        extensions.mkdir(parents=True)
        stage(extensions / "mien")
        yield Path(folder)


@pytest.fixture(scope="session")
def enabled(resources: Path) -> Iterator[None]:
    """Blender with the add-on enabled."""
    import bpy

    bpy.ops.extensions.repo_refresh_all()
    bpy.ops.preferences.addon_enable(module=PACKAGE)
    yield
    bpy.ops.preferences.addon_disable(module=PACKAGE)


@pytest.fixture
def mien(enabled: None) -> Callable[[str], ModuleType]:
    """Import a module of the enabled add-on by its name inside the package; the scene is new and empty."""
    import bpy

    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    importlib.import_module(f"{PACKAGE}.ui.smoothing").forget()  # on a busy machine the last test's slider was slow
    return lambda name: importlib.import_module(f"{PACKAGE}.{name}")


@pytest.fixture(scope="session")
def backend_python() -> str:
    """Python that runs the backend."""
    python = os.environ.get("MIEN_BACKEND_PYTHON")
    if not python:
        pytest.skip("MIEN_BACKEND_PYTHON does not name a Python that runs the backend")
    return python


@pytest.fixture(scope="session")
def run_backend(backend_python: str, repository: Path) -> Callable[..., str]:
    """Run a script with the backend's Python and return what it printed."""

    def run(script: Path, *arguments: str | Path) -> str:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(repository)}
        command = [backend_python, str(script), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=repository)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="session")
def reference(run_backend: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with heads, random takes and the vertices that the backend's head model gives for them."""
    folder = tmp_path_factory.mktemp("reference")
    run_backend(FOLDER / "make_reference.py", folder)
    return folder


@pytest.fixture(scope="session")
def clips(run_backend: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that make_clips.py fills."""
    folder = tmp_path_factory.mktemp("clips")
    run_backend(FOLDER / "make_clips.py", folder)
    return folder


@pytest.fixture
def evaluated() -> Callable[[Any], Any]:
    """Read the vertices (V, 3) of an object as Blender evaluates them, in world space."""
    import bpy
    import numpy as np

    def read(mesh_object: Any) -> Any:
        bpy.context.view_layer.update()
        item = mesh_object.evaluated_get(bpy.context.evaluated_depsgraph_get())
        mesh = item.to_mesh()
        points = np.empty(len(mesh.vertices) * 3, np.float32)
        mesh.vertices.foreach_get("co", points)
        world = np.array(item.matrix_world)
        item.to_mesh_clear()
        return points.reshape(-1, 3).astype(np.float64) @ world[:3, :3].T + world[:3, 3]

    return read
