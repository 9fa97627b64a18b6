# SPDX-License-Identifier: GPL-3.0-or-later
"""Names by which the parts of a head's wrinkles are found again."""

from __future__ import annotations

STRENGTH = "Wrinkles"
"""Custom property of the mesh object: 1 is true scale. It can be keyed."""
BASE, SUBDIVISION, DISPLACE = "Wrinkles Base", "Subdivision", "Wrinkles"
"""Modifiers, in this order. `Subdivision` is the head's own."""
NODE = "Wrinkles"
"""Of the group's image texture, and of the group in each material."""
