#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the README's pictures from the public-domain astronaut photo.

    python3 scripts/make_pictures.py [--out docs/images]
"""

import os
import sys

from python_version import require_supported_python

require_supported_python()

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

from backend.setup.module_run import run_module  # noqa: E402

if __name__ == "__main__":
    sys.exit(run_module(ROOT, "tests.make_pictures", sys.argv[1:]))
