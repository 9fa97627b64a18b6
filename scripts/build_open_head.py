# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the open head's asset from the CC0 data of the pinned wheel.

Run from the repository's root: python scripts/build_open_head.py [--wheel FILE] [--output FILE]
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from backend.heads.open_head.command import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
