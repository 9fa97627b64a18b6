# SPDX-License-Identifier: GPL-3.0-or-later
"""Wrinkles: displacement in UV space, what it does to normals, and the dense mesh it makes."""
