# SPDX-License-Identifier: GPL-3.0-or-later
"""Faces to train and judge on: the published datasets, synthetic faces, rings of one person, augmentation, sampling."""
