#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The `mien` command from a folder of sources: makes the environment at first use, then runs backend.cli inside it.

Old Pythons must be able to read this file up to the version check, so it has no annotations.
"""

import os
import sys

from python_version import require_supported_python

require_supported_python()

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

from backend.setup.launch import launch  # noqa: E402

if __name__ == "__main__":
    sys.exit(launch(ROOT, sys.argv[1:]))
