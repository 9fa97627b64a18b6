# SPDX-License-Identifier: GPL-3.0-or-later
"""The head in Blender: mesh, shape keys, bones, correctives, materials."""
