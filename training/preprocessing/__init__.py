# SPDX-License-Identifier: GPL-3.0-or-later
"""Preparing published datasets for training: crops, landmarks and face masks."""
