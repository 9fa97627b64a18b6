# SPDX-License-Identifier: GPL-3.0-or-later
"""Engines: crops or landmarks of a face in, parameters of one head model out."""
