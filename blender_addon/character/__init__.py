# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes on other characters: what drives what, and with how much."""
