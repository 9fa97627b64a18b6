#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Install what the tests need and run them all: style, the backend in `.venv`, the add-on inside Blender as a module.

    python3 scripts/test.py [--fast] [arguments for pytest]

The last line sums everything: N passed, N failed, N skipped.
"""

import os
import sys

from python_version import require_supported_python

require_supported_python()

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from backend.setup.test_run import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
