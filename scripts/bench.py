#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print how well and how fast captures are: quality against its bounds, speed against a named alternative.

    python3 scripts/bench.py [--only quality|speed|networks|rasterisers|training|video|numbers|batch|blender]

It runs in the tests' environment, on real photos and on synthetic heads. Nothing here passes or fails.
"""

import os
import sys

from python_version import require_supported_python

require_supported_python()

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

from backend.setup.module_run import run_module  # noqa: E402

if __name__ == "__main__":
    sys.exit(run_module(ROOT, "tests.benchmarks", sys.argv[1:]))
