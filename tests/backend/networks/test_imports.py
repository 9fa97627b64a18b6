# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks need torch and numpy alone, so that they can be tried on any machine with a GPU."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

WITHOUT = ("scipy", "skimage", "mediapipe", "cv2", "av", "PIL", "zmq", "msgpack", "onnxruntime", "onnx")
CODE = """
import sys
sys.modules.update(dict.fromkeys({without}))  # importing one of them fails
import importlib, pkgutil
import backend.networks
for module in pkgutil.iter_modules(backend.networks.__path__, "backend.networks."):
    importlib.import_module(module.name)
import tests.network_benchmarks
import pytest
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", "--collect-only", "tests/backend/networks/test_on_gpu.py"]))
"""


def test_they_load_and_their_gpu_tests_are_collected(repository: Path) -> None:
    code = CODE.format(without=WITHOUT)
    run = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
