# SPDX-License-Identifier: GPL-3.0-or-later
"""What the artist sees."""


def register() -> None:
    """Register all classes."""


def unregister() -> None:
    """Unregister all classes."""
