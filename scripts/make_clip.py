#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Render a clip of the open head with known motion, and write the truth beside it.

    python3 scripts/make_clip.py OUT.mp4 [--seed N] [--seconds S] [--size 640x360] [--rate 30] [--gestures turn,smile]
                                 [--focal 50] [--usual-size] [--people N] [--cut S] [--leave S]
"""

import os
import sys

from python_version import require_supported_python

require_supported_python()

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

from backend.setup.module_run import run_module  # noqa: E402

if __name__ == "__main__":
    sys.exit(run_module(ROOT, "tests.make_clip", sys.argv[1:]))
