# SPDX-License-Identifier: GPL-3.0-or-later
"""Captured heads from the scene to files of other programs. Each format works on baked copies in a scene of their own,
so that nothing of the artist's is touched.
"""
