# SPDX-License-Identifier: GPL-3.0-or-later
"""The check for the Python version, in syntax that every Python since 2.7 reads, so that old ones can say so."""

import sys

OLDEST = (3, 11)
EXIT_SETUP_FAILED = 23  # ErrorCode.SETUP_FAILED, whose module old Pythons cannot read


def require_supported_python(version=None):
    """Stop with one sentence when this Python is too old for Mien."""
    version = tuple(version or sys.version_info[:2])
    if version >= OLDEST:
        return
    sys.stderr.write(
        "mien: Mien needs Python %d.%d or newer, and this is Python %d.%d. "
        "Install a newer Python and run this command with it, for example python3.11 scripts/mien.py.\n"
        % (OLDEST + version[:2])
    )
    sys.exit(EXIT_SETUP_FAILED)
