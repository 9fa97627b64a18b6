# SPDX-License-Identifier: GPL-3.0-or-later
"""Faces in pictures: finding them, their landmarks and scores, and crops around them."""
