# SPDX-License-Identifier: GPL-3.0-or-later
"""From one head's parameters to another's, and to ARKit's channels, by where the vertices go."""
