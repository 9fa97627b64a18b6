# SPDX-License-Identifier: GPL-3.0-or-later
"""Heads seen at their landmarks before a camera, as least-squares problems: the engines and the solve share them.

Engines say what they believe of a face (`Evidence`); the solve asks which head, pose and camera agree with it best.
"""
