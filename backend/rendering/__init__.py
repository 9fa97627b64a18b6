# SPDX-License-Identifier: GPL-3.0-or-later
"""Rasteriser, shading, cameras and pictures of heads."""
