# SPDX-License-Identifier: GPL-3.0-or-later
"""Heads seen at their landmarks before a camera, as least-squares problems: what engines and the solve both compute with.

Engines say what they believe of a face (`Evidence`); the solve asks which head, pose and camera agree with it best.
"""
