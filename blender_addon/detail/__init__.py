# SPDX-License-Identifier: GPL-3.0-or-later
"""Wrinkles: displacement maps on a head, as a modifier or in its materials."""
